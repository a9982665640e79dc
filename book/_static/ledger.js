// Filters for the claims page. Without this script the page is the full list.
(function () {
  "use strict";

  function choice(label, prefix, cards) {
    const values = new Set();
    cards.forEach((card) => card.classList.forEach((name) => {
      if (name.startsWith(prefix)) values.add(name.slice(prefix.length));
    }));
    const select = document.createElement("select");
    [["", "all"], ...[...values].sort().map((v) => [v, v])].forEach(([value, text]) => select.add(new Option(text, value)));
    return field(label, select);
  }

  function field(label, control) {
    const box = document.createElement("label");
    box.append(label + " ", control);
    return { box, control };
  }

  function start() {
    const list = document.querySelector(".claim-list");
    if (!list) return;
    const cards = [...list.querySelectorAll(".claim-card")];
    const status = choice("Status", "status-", cards);
    const page = choice("Page", "page-", cards);
    const text = field("Search", Object.assign(document.createElement("input"), { type: "search", placeholder: "F-20, circle, ..." }));
    const shown = Object.assign(document.createElement("output"), { className: "claim-shown" });
    const bar = Object.assign(document.createElement("form"), { className: "claim-filter" });
    bar.setAttribute("role", "search");
    bar.setAttribute("aria-label", "Filter the claims");
    bar.append(status.box, page.box, text.box, shown);
    list.before(bar);

    // The words are kept from before MathJax rewrites the formulas, so that TeX can be searched too.
    const words = cards.map((card) => card.textContent.toLowerCase());
    function apply() {
      const wanted = text.control.value.trim().toLowerCase();
      let count = 0;
      cards.forEach((card, i) => {
        const fits = (!status.control.value || card.classList.contains("status-" + status.control.value)) &&
          (!page.control.value || card.classList.contains("page-" + page.control.value)) && words[i].includes(wanted);
        card.hidden = !fits;
        count += fits;
      });
      shown.textContent = count + " of " + cards.length + " shown";
    }
    bar.addEventListener("input", apply);
    bar.addEventListener("submit", (event) => event.preventDefault());
    apply();
  }

  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
