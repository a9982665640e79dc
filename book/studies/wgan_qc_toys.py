"""Does WGAN-QC train, and does the form of its regulariser matter? Two laws in the plane, ten seeds of everything.

Layout of ``book/results/wgan-qc-toys.json`` (key ``results``)::

    {"settings": {...},
     "laws": {"ring": {"floor": [10 numbers], "real": [[x, y], ...400],
                       "rows": {"vector": {"steps": [0, 250, ...],          # looks
                                           "w2": [[10 numbers], ...],       # one list a look, one number a seed
                                           "samples": [[x, y], ...400]},    # of the first seed, at the end
                                "norm": ..., "none": ..., "vector, vertex": ..., "wgan_gp": ...}},
              "swiss_roll": ...}}

``w2`` is the exact distance W_2 (not its square, not halved) between 1,000 samples of the averaged generator and 1,000
fresh samples of the law; ``floor`` the same between two sets of 1,000 real samples.
"""
