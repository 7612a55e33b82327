'use strict';
// Draws the charts. Labels that are too long for the width of a chart are cut: its table has them in full.
(() => {
  const charts = JSON.parse(document.getElementById('charts').textContent);
  const config = {
    responsive: true,
    displayModeBar: false,
  };
  const shortened = (text, width) => {
    const room = Math.max(12, Math.floor(width / 7.2));
    return text.length > room ? text.slice(0, room - 1) + '…' : text;
  };
  const escaped = (text) => text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
  for (const chart of charts) {
    const place = document.getElementById(chart.id);
    const labels = () => chart.labels.map((text) => escaped(shortened(text, place.clientWidth)));
    if (chart.labels) {
      for (const trace of chart.data) {
        if (trace.mode === 'text') trace.text = labels();
        else trace.customdata = chart.labels.map(escaped);
      }
      addEventListener('resize', () => Plotly.restyle(place, { text: [labels()] }, [chart.data.length - 1]));
    }
    Plotly.newPlot(place, chart.data, chart.layout, config);
  }
})();
