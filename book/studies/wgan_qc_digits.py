"""WGAN-QC on scikit-learn's 8x8 digits: the form of the regulariser, ten seeds.

Layout of ``book/results/wgan-qc-digits.json`` (key ``results``)::

    {"settings": {...},
     "floor": [10 numbers],                              # real against real, ten random splits
     "start": [10 numbers],                              # the untrained generators (same as cost[0] of every row)
     "real": [[64 ints from 0 to 16], ...20],            # held-out pictures, row by row
     "rows": {"vector": {"steps": [0, 250, ...],
                         "cost": [[10 numbers], ...],    # one list a look, one number a seed
                         "lp": [[10 numbers], ...],      # the batch's own optimum, biased upwards: mean over the last looks
                         "pictures": [[64 ints], ...20]},# of the first seed, at the end
              "norm": ..., "none": ...}}

``cost`` is ``K/2 W_2^2`` with K = 1/64 and pixels from -1 to 1, between 900 pictures of the averaged generator and the
900 held-out ones.
"""
