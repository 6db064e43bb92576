"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const by = (id) => document.getElementById(id);
  const make = (tag, text = "", more = {}) => Object.assign(document.createElement(tag), { textContent: text }, more);
  const signed = (value) => (value > 0 ? "+" : "") + value.toFixed(2);

  // Charts: drawn when they come into view; of all traces those that have what every control says.
  const chosen = (name) => {
    const selects = document.querySelectorAll(`[data-chart="${name}"] select`);
    return Object.fromEntries([...selects].map((select) => [select.dataset.control, select.value]));
  };
  const show = (name) => {
    const wanted = Object.entries(chosen(name)), { data: traces, layout } = data.charts[name];
    const fits = traces.filter((trace) => wanted.every(([control, value]) => trace.meta[control] === value));
    return Plotly.react(`chart-${name}`, fits, layout, { responsive: true, displaylogo: false });
  };
  const seen = new IntersectionObserver((entries) => entries.filter((entry) => entry.isIntersecting).forEach((entry) => {
    seen.unobserve(entry.target);
    show(entry.target.id.slice("chart-".length));
  }), { rootMargin: "400px" });
  for (const name of Object.keys(data.charts)) {
    if (!by(`chart-${name}`)) continue;
    seen.observe(by(`chart-${name}`));
    document.querySelector(`[data-chart="${name}"]`).addEventListener("change", () => show(name));
  }

  // Provenance of a run.
  const tell = (id) => {
    const run = data.runs.runs[id], body = by("run").querySelector("div");
    body.replaceChildren(make("h3", id));
    if (run) {
      const list = make("dl");
      for (const [key, value] of Object.entries(run)) {
        if (key !== "gin") list.append(make("dt", key.replace("_s", " (s)")), make("dd", String(value)));
      }
      body.append(list, make("pre", data.runs.gin[run.gin]));
    } else {
      body.append(make("p", "No provenance was recorded of this run."));
    }
    by("run").showModal();
  };

  // The browser of signals.
  const STEP = 25;
  let shown = STEP;
  const collection = () => data.collections[by("collection").value];
  const fill = (select, labels, at) => {
    select.replaceChildren(...labels.map((label, index) => make("option", label, { value: index })));
    select.value = Math.min(at, labels.length - 1);
  };
  const rivals = (labels) => {
    const mine = Math.max(labels.findIndex((label) => label.startsWith("MSCN")), 0);
    const number = labels[mine].split(", ").slice(1).join(", ");
    const same = labels.findIndex((label, index) => !label.startsWith("MSCN") && label.split(", ").slice(1).join(", ") === number);
    return [mine, same < 0 ? Number(mine === 0) : same];
  };
  const choose = () => {
    const labels = collection().series.map((each) => each.label), [mine, other] = rivals(labels);
    fill(by("first"), labels, mine);
    fill(by("second"), labels, other);
    list(true);
  };
  const cell = (value) => make("td", value === null || value === undefined ? "–" : value.toFixed(2), { className: "number" });
  const list = (again) => {
    if (again) shown = STEP;
    const own = collection(), [a, b] = [own.values[by("first").value], own.values[by("second").value]];
    const order = by("order").value, only = by("pictured").checked;
    let rows = own.signals.map((signal, index) => ({ signal, a: a[index], b: b[index], gain: a[index] === null || b[index] === null ? null : a[index] - b[index] }));
    if (only) rows = rows.filter((row) => own.originals[row.signal]);
    if (order !== "id") {
      const sign = order === "down" ? -1 : 1;
      rows.sort((x, y) => (x.gain === null) - (y.gain === null) || sign * (x.gain - y.gain));
    }
    const head = make("tr");
    for (const name of ["signal", `A: ${own.series[by("first").value].label} (${own.unit})`, `B: ${own.series[by("second").value].label} (${own.unit})`, "A minus B", "picture"]) head.append(make("th", name));
    by("list").querySelector("thead").replaceChildren(head);
    by("list").querySelector("tbody").replaceChildren(...rows.slice(0, shown).map((row) => {
      const line = make("tr"), first = make("td"), button = make("button", `${row.signal}`, { type: "button" });
      button.setAttribute("aria-label", `Open signal ${row.signal}`);
      button.addEventListener("click", () => { location.hash = `signal/${own.name}/${row.signal}`; });
      first.append(button);
      line.append(first, cell(row.a), cell(row.b), make("td", row.gain === null ? "–" : signed(row.gain), { className: "number" }), make("td", own.originals[row.signal] ? "kept" : ""));
      return line;
    }));
    const gains = rows.filter((row) => row.gain !== null);
    const ahead = gains.filter((row) => row.gain > 0).length;
    by("counted").textContent = `${rows.length} signals; A is ahead in ${ahead} of the ${gains.length} that both have.`;
    by("more").hidden = shown >= rows.length;
  };
  const card = (text, ...pictures) => {
    const figure = make("figure"), pair = make("div", "", { className: "pair" });
    pair.append(...pictures.map(([src, alt]) => make("img", "", { src, alt })));
    figure.append(pair, make("figcaption", text));
    return figure;
  };
  const open = (own, signal) => {
    const place = own.signals.indexOf(signal), article = by("signal");
    article.replaceChildren(make("h3", `${own.title}, signal ${signal}`));
    if (place < 0) { article.append(make("p", "There is no such signal.")); return; }
    const pictures = own.pictures[signal] || {};
    if (own.originals[signal]) {
      const cards = make("div", "", { className: "cards" });
      cards.append(card("original", [own.originals[signal], `signal ${signal}, original`]));
      article.append(make("p", `Beside each picture: ${own.error}. ${own.note}`), cards);
      own.series.forEach((each, index) => {
        if (!pictures[index]) return;
        const value = own.values[index][place], text = `${each.label}: ${value === null ? "–" : value.toFixed(2)} ${own.unit}`;
        cards.append(card(text, [pictures[index][0], text], [pictures[index][1], `error of ${each.label}`]));
      });
    } else {
      article.append(make("p", "No pictures were kept of this signal."));
    }
    const table = make("table"), head = make("tr"), rated = own.rates.length > 0;
    for (const name of ["method", own.unit, ...(rated ? ["bits per point"] : []), "runs"]) head.append(make("th", name));
    table.append(head);
    own.series.forEach((each, index) => {
      if (own.values[index][place] === null) return;
      const line = make("tr"), runs = make("td", "", { className: "runs" });
      each.runs.forEach((id, number) => {
        const button = make("button", `${number + 1}`, { type: "button", title: id });
        button.setAttribute("aria-label", `Provenance of ${id}`);
        button.addEventListener("click", () => tell(id));
        runs.append(button, " ");
      });
      line.append(make("td", each.label), cell(own.values[index][place]));
      if (rated) line.append(make("td", own.rates[index][place] === null ? "–" : own.rates[index][place].toFixed(3), { className: "number" }));
      line.append(runs);
      table.append(line);
    });
    const wide = make("div", "", { className: "wide" });
    wide.append(table);
    article.append(wide);
  };
  const follow = () => {
    const [kind, name, signal] = decodeURIComponent(location.hash.slice(1)).split("/");
    const at = data.collections.findIndex((each) => each.name === name);
    if (kind !== "signal" || at < 0) return;
    if (Number(by("collection").value) !== at) { by("collection").value = at; choose(); }
    open(data.collections[at], Number(signal));
    by("signal").scrollIntoView();
  };
  if (data.collections.length) {
    fill(by("collection"), data.collections.map((each) => `${each.title} (${each.signals.length})`), 0);
    by("collection").addEventListener("change", choose);
    for (const id of ["first", "second", "order", "pictured"]) by(id).addEventListener("change", () => list(true));
    by("more").addEventListener("click", () => { shown += STEP; list(false); });
    choose();
    window.addEventListener("hashchange", follow);
    follow();
  } else {
    by("signals").hidden = true;
  }
  document.documentElement.dataset.ready = "yes";
})();
