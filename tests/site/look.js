// Runs inside a page and reports what a person would complain about; tests/site/test_browser.py reads the answer.
() => {
  const view = document.documentElement;
  const complaints = [];
  const name = (e) => {
    const own = e.tagName.toLowerCase() + (e.id ? "#" + e.id : "") + [...e.classList].map((c) => "." + c).join("");
    return own + " " + JSON.stringify((e.textContent || "").trim().slice(0, 40));
  };
  const shown = (e) => e.checkVisibility({ opacityProperty: true, visibilityProperty: true }) && e.getClientRects().length > 0;

  // ---- nothing makes the page scroll sideways ----
  const scrolls = (e) => {
    for (let p = e.parentElement; p && p !== document.body; p = p.parentElement)
      if (/auto|scroll|hidden|clip/.test(getComputedStyle(p).overflowX) && p.getBoundingClientRect().right <= view.clientWidth + 1) return true;
    return false;
  };
  if (view.scrollWidth > view.clientWidth + 1) {
    const wide = [...document.querySelectorAll("article *")].filter(
      (e) => shown(e) && e.getBoundingClientRect().right > view.clientWidth + 1 && !scrolls(e));
    complaints.push(`the page is ${view.scrollWidth} wide in a window of ${view.clientWidth}: ${wide.slice(0, 3).map(name).join("; ")}`);
  }

  // ---- pictures and formulas ----
  for (const img of document.images) if (!img.complete || img.naturalWidth === 0) complaints.push(`picture not loaded: ${img.src}`);
  for (const e of document.querySelectorAll(".math"))
    if (!e.querySelector("mjx-container")) complaints.push(`formula not typeset: ${name(e)}`);
  for (const e of document.querySelectorAll("div.math mjx-math"))
    if (e.getBoundingClientRect().left < e.closest("div.math").getBoundingClientRect().left - 1)
      complaints.push(`the beginning of a formula is cut off: ${name(e.closest("div.math"))}`);
  for (const e of document.querySelectorAll("mjx-merror")) complaints.push(`formula is wrong: ${name(e)}`);

  // ---- controls have a name that a screen reader can say ----
  const label = (e) =>
    [
      e.getAttribute("aria-label"),
      document.getElementById(e.getAttribute("aria-labelledby"))?.textContent,
      e.title,
      ...[...(e.labels || [])].map((l) => l.textContent),
      e.tagName === "INPUT" ? e.placeholder || (e.type === "submit" && e.value) : e.textContent,
      ...[...e.querySelectorAll("img")].map((img) => img.alt),
    ].some((text) => text && text.trim());
  for (const e of document.querySelectorAll("input:not([type=hidden]), select, textarea, button, summary, a[href]"))
    if (shown(e) && !label(e)) complaints.push(`no name to say: ${e.outerHTML.slice(0, 120)}`);

  // ---- text stands out from its ground: WCAG AA ----
  const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = ([r, g, b, a], [R, G, B]) => [r * a + R * (1 - a), g * a + G * (1 - a), b * a + B * (1 - a), 1];
  const grounds = new Map();
  const ground = (e) => {
    if (!e) return rgba(getComputedStyle(view).colorScheme === "dark" ? "#000" : "#fff");
    if (!grounds.has(e)) grounds.set(e, over(rgba(getComputedStyle(e).backgroundColor), ground(e.parentElement)));
    return grounds.get(e);
  };
  const light = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const faint = new Map();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let checked = 0;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const e = node.parentElement;
    if (!node.textContent.trim() || !e || /^(SCRIPT|STYLE|NOSCRIPT|TITLE)$/.test(e.tagName) || !shown(e) || e.closest("[disabled], [aria-hidden=true], mjx-assistive-mml")) continue;
    const style = getComputedStyle(e);
    const drawn = e.closest("svg") ? style.fill : style.color;
    if (drawn === "none") continue;
    const back = ground(e.closest("svg") || e);
    const [a, b] = [light(over(rgba(drawn), back)), light(back)].sort((x, y) => y - x);
    const size = parseFloat(style.fontSize);
    const needed = size >= 24 || (size >= 18.66 && +style.fontWeight >= 700) ? 3 : 4.5;
    checked += 1;
    const ratio = (a + 0.05) / (b + 0.05);
    if (ratio < needed - 0.01) faint.set(`${e.className} ${drawn}`, `contrast ${ratio.toFixed(2)}: ${name(e)} ${drawn} on rgb(${back.slice(0, 3).map(Math.round)})`);
  }
  complaints.push(...faint.values());
  if (!checked) complaints.push("no text was found on the page");

  // ---- the keyboard can reach what scrolls ----
  for (const e of document.querySelectorAll("pre, div.math, .output, .pst-scrollable-table-container, dt.sig"))
    if (shown(e) && e.scrollWidth > e.clientWidth + 1 && /auto|scroll/.test(getComputedStyle(e).overflowX) && e.tabIndex < 0 && !e.querySelector("a[href], button, input, [tabindex='0']"))
      complaints.push(`scrolls, but not with the keyboard: ${name(e)}`);
  return complaints;
}
