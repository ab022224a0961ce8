"use strict";
(() => {
  const PAGE_SIZE = 12;
  const filters = document.querySelector(".filters");
  if (filters) {
    const selects = [...filters.querySelectorAll("select")];
    const examples = [...document.querySelectorAll(".example")];
    const count = filters.querySelector(".count");
    const reset = filters.querySelector(".reset");
    const more = document.querySelector(".more");
    let limit = PAGE_SIZE;

    const update = () => {
      const chosen = selects.filter((select) => select.value !== "");
      const fits = (example) => chosen.every((select) => example.dataset[select.dataset.key] === select.value);
      const found = examples.filter(fits);
      const shown = new Set(found.slice(0, limit));
      for (const example of examples) {
        example.hidden = !shown.has(example);
      }
      count.textContent = found.length === 0
        ? "No example fits this choice."
        : `Showing ${shown.size} of ${found.length} examples.`;
      reset.hidden = chosen.length === 0;
      more.hidden = shown.size === found.length;
    };

    for (const select of selects) {
      select.addEventListener("change", () => {
        limit = PAGE_SIZE;
        update();
      });
    }
    reset.addEventListener("click", () => {
      for (const select of selects) {
        select.value = "";
      }
      limit = PAGE_SIZE;
      update();
      (selects[0] || count).focus();
    });
    more.addEventListener("click", () => {
      const first = examples.filter((example) => !example.hidden).length;
      limit += PAGE_SIZE;
      update();
      const next = examples.filter((example) => !example.hidden)[first];
      if (next) {
        next.tabIndex = -1;
        next.focus();
      }
    });
    filters.hidden = false;
    update();
  }

  for (const table of document.querySelectorAll(".sortable")) {
    const headings = [...table.querySelectorAll("thead th")];
    const body = table.tBodies[0];
    const asRanked = [...body.rows];

    const sortBy = (column) => {
      const isFalling = column > 0
        ? headings[column].getAttribute("aria-sort") !== "descending"
        : false;
      const number = (row) => {
        const found = parseFloat(row.cells[column].dataset.number);
        return Number.isNaN(found) ? -Infinity : found;
      };
      const sorted = [...asRanked];
      if (column > 0) {
        sorted.sort((one, other) => (isFalling ? number(other) - number(one) : number(one) - number(other)) || 0);
      }
      headings.forEach((heading) => heading.removeAttribute("aria-sort"));
      headings[column].setAttribute("aria-sort", isFalling ? "descending" : "ascending");
      body.append(...sorted);
    };

    headings.forEach((heading, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.className = "sort";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => sortBy(column));
    });
    headings[0].setAttribute("aria-sort", "ascending");
  }

  // What is folded away on a screen belongs on paper.
  let folded = [];
  window.addEventListener("beforeprint", () => {
    folded = [...document.querySelectorAll("details:not([open])")];
    for (const part of folded) {
      part.open = true;
    }
  });
  window.addEventListener("afterprint", () => {
    for (const part of folded) {
      part.open = false;
    }
  });
})();
