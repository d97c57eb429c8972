"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const at = (id) => document.getElementById(id);
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  // Colour is never alone: every side has its own dash and marker too.
  const STYLES = [
    { color: "--s0", dash: "solid", width: 3, symbol: "circle", size: 8 },
    { color: "--s1", dash: "dash", width: 2, symbol: "square-open", size: 8 },
    { color: "--s2", dash: "dot", width: 2, symbol: "triangle-down", size: 8 },
  ];
  const config = { displayModeBar: false, responsive: true, scrollZoom: false, doubleClick: false, showTips: false };

  function traces(t) {
    const s = STYLES[t.style || 0], color = css(s.color);
    if (t.kind === "reference") return [{ type: "scatter", mode: "lines", x: t.x, y: t.y, hoverinfo: "skip", line: { color: css("--soft"), width: 1, dash: "dot" } }];
    if (t.kind === "band") {
      const known = t.x.map((_, i) => i).filter((i) => t.low[i] !== null && t.high[i] !== null);
      const x = known.map((i) => t.x[i]), fill = css("--rule");
      return [{ type: "scatter", mode: "lines", x: x.concat([...x].reverse()), y: known.map((i) => t.low[i]).concat(known.map((i) => t.high[i]).reverse()),
        fill: "toself", fillcolor: fill, hoverinfo: "skip", line: { color: fill, width: 1 } }];
    }
    if (t.kind === "points") {
      const reach = (end, sign) => t.y.map((y, i) => (t[end][i] === null ? 0 : Math.max(0, sign * (t[end][i] - y))));
      return [{ type: "scatter", mode: "lines+markers", x: t.x, y: t.y, text: t.text, hoverinfo: "text", line: { color, width: 1.5, dash: s.dash },
        marker: { color, size: s.size, symbol: s.symbol, line: { color, width: 2 } },
        error_y: { type: "data", symmetric: false, array: reach("high", 1), arrayminus: reach("low", -1), color, thickness: 1.5, width: 4 } }];
    }
    if (t.kind === "steps" && t.style) return [{ type: "scatter", mode: "lines", x: t.x, y: t.y, text: t.text, hoverinfo: "text", line: { color: css("--data"), width: 2, shape: "hvh" } }];
    if (t.kind === "steps") return [{ type: "bar", x: t.x, y: t.y, width: t.width, text: t.text, textposition: "none", hoverinfo: "text", opacity: 0.75, marker: { color } }];
    return [{ type: "scatter", mode: t.marks ? "lines+markers" : "lines", x: t.x, y: t.y, text: t.text, hoverinfo: "text", line: { color, width: s.width, dash: s.dash },
      marker: { color, size: s.size, symbol: s.symbol, line: { color, width: 2 } } }];
  }

  function draw(id, chart) {
    const box = at(`chart-${id}`);
    if (!box) return;
    box.closest("figure").hidden = !chart;
    if (!chart) return;
    box.setAttribute("aria-label", chart.alt);
    const soft = css("--soft"), narrow = innerWidth < 640;
    const axis = (title) => ({ gridcolor: css("--grid"), zeroline: false, fixedrange: true, tickfont: { color: soft }, nticks: 6, showline: true, linecolor: css("--rule"), separatethousands: true,
      title: { text: title, font: { size: narrow ? 11 : 12, color: soft }, standoff: 6 } });
    const unit = chart.unit ? { range: [-0.02, 1.02], tickvals: [0, 0.2, 0.4, 0.6, 0.8, 1] } : {};
    Plotly.react(box, chart.traces.flatMap(traces), {
      paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", showlegend: false, dragmode: false, hovermode: "closest", hoverdistance: 30, barmode: "overlay",
      font: { family: getComputedStyle(document.body).fontFamily, size: narrow ? 11 : 12, color: css("--ink") },
      hoverlabel: { bgcolor: css("--panel"), bordercolor: css("--soft"), font: { color: css("--ink") }, align: "left" },
      margin: { l: 56, r: 10, t: 8, b: chart.dates ? 36 : 44 },
      xaxis: { ...axis(chart.x), ...unit, ...(chart.dates ? { type: "date", nticks: narrow ? 4 : 7 } : {}), ...(chart.xrange ? { range: chart.xrange } : {}) },
      yaxis: { ...axis(chart.y), ...unit },
    }, config);
  }

  function drawAll() {
    const view = data.views[at("view") ? Number(at("view").value) : 0];
    const ids = new Set(data.views.flatMap((v) => Object.keys(v.charts)));
    for (const id of ids) draw(id, view.charts[id]);
    for (const [id, chart] of Object.entries(data.fixed)) draw(id, chart);
    document.documentElement.dataset.drawn = "yes";
  }

  if (at("view")) at("view").addEventListener("change", drawAll);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  matchMedia("(max-width: 639px)").addEventListener("change", drawAll);
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
  drawAll();
})();
