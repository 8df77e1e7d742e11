// SPDX-License-Identifier: GPL-2.0-only
/* The charts of a report: lines over generations and over inputs, and histograms. */
"use strict";
(function () {
	const data = JSON.parse(document.getElementById("data").textContent);
	const style = getComputedStyle(document.documentElement);
	const color = (name) => style.getPropertyValue(name).trim();

	function figure(of, caption, spoken) {
		const fig = document.createElement("figure");
		const plot = document.createElement("div");
		const canvas = document.createElement("canvas");
		const text = document.createElement("figcaption");

		plot.className = "plot";
		canvas.setAttribute("role", "img");
		canvas.setAttribute("aria-label", spoken);
		text.textContent = caption;
		plot.append(canvas);
		fig.append(plot, text);
		document.getElementById(of).append(fig);
		return canvas;
	}

	function draw(canvas, type, x, y, xName, yName, logarithmic) {
		const axis = (name, kind) => ({
			type: kind,
			title: { display: true, text: name, color: color("--soft") },
			ticks: { color: color("--soft"), maxTicksLimit: 8 },
			grid: { color: color("--line") },
		});

		new Chart(canvas, {
			type,
			data: {
				labels: x,
				datasets: [{
					data: type === "line" ? x.map((v, i) => ({ x: v, y: y[i] })) : y,
					borderColor: color("--link"),
					backgroundColor: color("--link"),
					borderWidth: 2,
					pointRadius: x.length > 60 ? 0 : 3,
				}],
			},
			options: {
				animation: false,
				maintainAspectRatio: false,
				plugins: { legend: { display: false } },
				scales: {
					x: axis(xName, type === "line" ? (logarithmic ? "logarithmic" : "linear") : "category"),
					y: axis(yName, "linear"),
				},
			},
		});
	}

	const round = (v) => Number(v.toPrecision(6));

	for (const s of data.chains)
		draw(figure("chains-charts", s.name + ", " + s.unit + " over generations",
			s.name + ": " + round(s.y[0]) + " " + s.unit + " in generation " + s.x[0] + ", " +
			round(s.y[s.y.length - 1]) + " in generation " + s.x[s.x.length - 1]),
		"line", s.x, s.y, "generation", s.unit, false);
	for (const s of data.curves)
		draw(figure("curves-charts", s.name + " over its input", s.name + ": " + round(s.y[0]) +
			" " + s.unit + " at " + s.x[0] + ", " + round(s.y[s.y.length - 1]) + " at " + s.x[s.x.length - 1]),
		"line", s.x, s.y, "input", s.unit, s.x[0] > 0 && s.x[s.x.length - 1] / s.x[0] > 50);

	/* one histogram at a time: there are hundreds of series */
	const choice = document.getElementById("series");
	let shown = null;

	function histogram() {
		const s = data.series[choice.value];
		const sorted = [...s.samples].sort((a, b) => a - b);
		const low = sorted[0], high = sorted[Math.floor((sorted.length - 1) * 0.99)];
		const n = low === high ? 1 : 24, width = (high - low) / n || 1;
		const count = new Array(n + 1).fill(0);
		const at = count.map((_, i) => i === n ? "beyond" : String(round(low + i * width)));

		for (const v of sorted)
			count[v > high ? n : Math.min(n - 1, Math.floor((v - low) / width))]++;
		if (shown)
			shown.remove();
		const canvas = figure("histogram", s.name + ": " + s.samples.length + " samples, median " +
			round(sorted[Math.floor(sorted.length / 2)]) + " " + s.unit, "histogram of " + s.name);
		shown = canvas.closest("figure");
		draw(canvas, "bar", at, count, s.unit, "samples", false);
	}

	data.series.forEach((s, i) => choice.append(new Option(s.name, i)));
	if (data.series.length) {
		choice.addEventListener("change", histogram);
		histogram();
	}
	document.documentElement.dataset.drawn = "yes";
})();
