// Repairs that no option of the theme offers, all for readers who use a keyboard or a screen reader.
document.addEventListener("DOMContentLoaded", () => {
  document.querySelectorAll(".bd-sidebar-primary summary").forEach((arrow) => {
    arrow.setAttribute("aria-label", "Pages of " + (arrow.closest("li")?.querySelector("a")?.textContent.trim() || "this part"));
  });
  const sidebar = document.querySelector(".bd-sidebar-primary");
  sidebar?.setAttribute("role", "complementary");
  sidebar?.setAttribute("aria-label", "Book");
  document.querySelectorAll(".citation-list > .citation").forEach((entry) => entry.setAttribute("role", "listitem"));
  // Sphinx sets long signatures as a list of definitions without terms.
  document.querySelectorAll("dt.sig > dl").forEach((part) => part.setAttribute("role", "presentation"));
});

// What scrolls sideways can be scrolled with the keyboard too.
const wide = "div.math, .cell_output > .output, dt.sig, .pst-scrollable-table-container, .highlight > pre";
const reach = () =>
  document.querySelectorAll(wide).forEach((box) => {
    if (box.scrollWidth > box.clientWidth + 1) box.tabIndex = 0;
  });
window.addEventListener("load", reach);
window.addEventListener("resize", reach);
