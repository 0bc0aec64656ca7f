// What scrolls by itself must be reachable by keyboard.
function reach() {
  for (const box of document.querySelectorAll("pre, .cell_output, .output, .table-wrapper, .formula")) {
    if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}
addEventListener("load", reach);
addEventListener("resize", reach);
addEventListener("load", () => document.querySelector(".sidebar-drawer")?.setAttribute("aria-label", "Pages of the site"));
