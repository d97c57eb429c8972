"use strict";
(() => {
  const charts = JSON.parse(document.getElementById("data").textContent).charts;
  const at = (id) => document.getElementById(id);
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  // Colour is never alone: every line has its own dash and marker too.
  const STYLES = [
    { color: "--s0", dash: "solid", width: 2, symbol: "circle" }, { color: "--s1", dash: "dash", width: 2, symbol: "square-open" },
    { color: "--s2", dash: "dot", width: 2, symbol: "triangle-down" }, { color: "--s3", dash: "dashdot", width: 2, symbol: "diamond-open" },
  ];
  const config = { displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: false, showTips: false };
  const from = at("from"), to = at("to"), pick = at("model"), told = at("told");
  const inside = (day) => !day || ((!from.value || day >= from.value) && (!to.value || day <= to.value));

  function layout(chart, days, more) {
    const soft = css("--soft"), narrow = innerWidth < 640;
    const axis = { gridcolor: css("--grid"), zeroline: false, fixedrange: true, tickfont: { color: soft } };
    return {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, dragmode: false, hovermode: "closest",
      font: { family: getComputedStyle(document.body).fontFamily, size: narrow ? 11 : 12, color: css("--ink") },
      hoverlabel: { bgcolor: css("--panel"), bordercolor: css("--soft"), font: { color: css("--ink") }, align: "left" },
      margin: { l: narrow ? 52 : 64, r: 8, t: 8, b: 36 }, ...more,
      xaxis: { ...axis, type: "date", showline: true, linecolor: css("--rule"), tickformat: "%-d %b\n%Y", nticks: narrow ? 4 : 9,
        range: days.length ? [shifted(days[0], -1), shifted(days[days.length - 1], 1)] : undefined, ...(more.xaxis || {}) },
      yaxis: { ...axis, nticks: 6, separatethousands: true, ...(more.yaxis || {}) },
    };
  }

  function shifted(day, by) {
    const d = new Date(`${day}T12:00:00Z`);
    d.setUTCDate(d.getUTCDate() + by);
    return d.toISOString().slice(0, 10);
  }

  function drawLines(chart, keep) {
    const days = keep.map((i) => chart.days[i]);
    const traces = [];
    for (const line of chart.lines) {
      const s = STYLES[line.style % STYLES.length], color = css(s.color), some = (v) => keep.map((i) => v[i]);
      if (line.low.length) {
        traces.push({ x: days, y: some(line.low), mode: "lines", line: { color, width: 0.7, dash: "dot" }, hoverinfo: "skip", connectgaps: false },
          { x: days, y: some(line.high), mode: "lines", line: { color, width: 0.7, dash: "dot" }, hoverinfo: "skip" });
      }
      traces.push({ x: days, y: some(line.y), name: line.name, mode: days.length > 90 ? "lines" : "lines+markers", connectgaps: false,
        hovertemplate: `%{x|%-d %b %Y}<br>${line.name}: %{y:.4~g}<extra></extra>`,
        line: { color, width: s.width, dash: s.dash }, marker: { color, symbol: s.symbol, size: 6 } });
    }
    const ink = css("--soft"), lift = ["top", "middle", "bottom"];
    const marks = chart.marks.filter(([day]) => inside(day)), words = marks.length <= 14 && innerWidth >= 640;
    Plotly.react(chart.id, traces, layout(chart, days, {
      shapes: marks.map(([day]) => ({ type: "line", x0: day, x1: day, yref: "paper", y0: 0, y1: 1, layer: "below", line: { color: ink, width: 1, dash: "dot" } })),
      annotations: words ? marks.map(([day, text], i) => ({ x: day, yref: "paper", y: 1 - (i % 3) * 0.09, text, showarrow: false, xanchor: "left", yanchor: lift[0], font: { size: 11, color: ink } })) : [],
    }), config);
    const legend = at(`legend-${chart.id}`);
    legend.replaceChildren(...(chart.lines.length < 2 ? [] : chart.lines.map((line) => {
      const s = STYLES[line.style % STYLES.length], item = document.createElement("li");
      const dash = { solid: "", dash: "7 4", dot: "2 3", dashdot: "8 3 2 3" }[s.dash];
      const ns = "http://www.w3.org/2000/svg", svg = document.createElementNS(ns, "svg"), stroke = document.createElementNS(ns, "line");
      svg.setAttribute("class", "mark line"); svg.setAttribute("viewBox", "0 0 34 12");
      for (const [k, v] of Object.entries({ x1: 1, x2: 33, y1: 6, y2: 6, "stroke-dasharray": dash, stroke: css(s.color), "stroke-width": 2.5 })) stroke.setAttribute(k, v);
      const name = document.createElement("span");
      name.innerHTML = line.name; // escaped where the page was made
      svg.append(stroke); item.append(svg, name);
      return item;
    })));
  }

  function drawMap(chart, keep) {
    const days = keep.map((i) => chart.days[i]), narrow = innerWidth < 640, dark = matchMedia("(prefers-color-scheme: dark)").matches;
    const order = chart.subjects.map((_, i) => i).reverse();
    const z = order.map((s) => keep.map((i) => chart.z[s][i]));
    // One hue that only gets darker (or lighter), so that it reads in grey; above the limit a mark says so.
    const scale = dark ? [[0, "#1a2127"], [0.5, "#3f6a80"], [1, "#d7eefb"]] : [[0, "#f4f7f9"], [0.5, "#8fb7cc"], [1, "#0b3a55"]];
    const over = { x: [], y: [] };
    z.forEach((row, r) => row.forEach((v, c) => { if (v !== null && v >= 1) { over.x.push(days[c]); over.y.push(chart.subjects[order[r]]); } }));
    const cut = narrow ? 13 : 26, short = order.map((s) => (chart.subjects[s].length > cut ? `${chart.subjects[s].slice(0, cut - 1)}…` : chart.subjects[s]));
    at(chart.id).style.height = `${60 + 19 * chart.subjects.length}px`;
    const names = order.map((s) => chart.subjects[s]);
    Plotly.react(chart.id, [
      { type: "heatmap", x: days, y: names, z, zmin: 0, zmax: 1.5, colorscale: scale, showscale: false, hoverongaps: false, xgap: days.length < 100 ? 1 : 0, ygap: 1,
        hovertemplate: "%{y}<br>%{x|%-d %b %Y}: %{z:.2f} of its limit<extra></extra>" },
      { type: "scatter", mode: "markers", ...over, hoverinfo: "skip", marker: { symbol: "x-thin-open", size: 6, color: css("--s1"), line: { color: css("--s1"), width: 1.6 } } },
    ], layout(chart, days, { margin: { l: narrow ? 92 : 180, r: 8, t: 8, b: 36 },
      yaxis: { type: "category", nticks: 0, tickmode: "array", tickvals: names, ticktext: short, showgrid: false }, xaxis: { showgrid: false } }), config);
  }

  const seen = new Set();
  function draw(chart) {
    seen.add(chart.id);
    const keep = chart.days.map((_, i) => i).filter((i) => inside(chart.days[i]));
    (chart.kind === "map" ? drawMap : drawLines)(chart, keep);
    at(chart.id).dataset.drawn = "yes";
  }

  // Charts are drawn when they come near the screen: the page itself is there at once.
  const watcher = new IntersectionObserver((entries) => entries.filter((e) => e.isIntersecting).forEach((e) => {
    watcher.unobserve(e.target);
    draw(charts.find((c) => c.id === e.target.id));
  }), { rootMargin: "300px" });
  charts.forEach((c) => watcher.observe(at(c.id)));

  const again = () => charts.filter((c) => seen.has(c.id)).forEach(draw);
  function filter() {
    document.querySelectorAll("[data-model]").forEach((m) => { m.hidden = Boolean(pick.value) && m.dataset.model !== pick.value; });
    let shown = 0;
    document.querySelectorAll("tr[data-day]").forEach((row) => { row.hidden = !inside(row.dataset.day); shown += row.hidden ? 0 : 1; });
    told.textContent = from.value && to.value && from.value > to.value ? "From is after To: nothing is shown" : "";
    again();
  }
  if (at("filters")) {
    at("filters").addEventListener("change", filter);
    at("filters").addEventListener("reset", () => setTimeout(filter));
    at("filters").addEventListener("submit", (e) => e.preventDefault());
  }
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
  matchMedia("(max-width: 639px)").addEventListener("change", again);

  // A cell that a spreadsheet would take for a formula is text there too.
  const quoted = (text) => `"${(/^\s*[=+\-@\t\r]/.test(text) ? `'${text}` : text).replaceAll('"', '""')}"`;
  document.querySelectorAll("[data-csv]").forEach((button) => button.addEventListener("click", (e) => {
    e.preventDefault();
    const table = button.closest("details").querySelector("table");
    const rows = [...table.rows].filter((r) => !r.hidden).map((r) => [...r.cells].map((c) => quoted(c.textContent)).join(","));
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([`${rows.join("\r\n")}\r\n`], { type: "text/csv" }));
    link.download = `${button.dataset.csv.replaceAll(/[^\w.-]/g, "_")}.csv`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 1000);
  }));
  addEventListener("beforeprint", () => { document.querySelectorAll("details").forEach((d) => { d.open = true; }); charts.forEach(draw); });
  document.documentElement.dataset.ready = "yes";
})();
