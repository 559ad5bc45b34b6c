"""The report's style sheet: system fonts, light and dark from the reader's own setting."""

# Colours after Okabe and Ito 2008, told apart with any colour vision; lighter where the page is dark.
CSS = """
:root{--page:#fbfbfa;--card:#fff;--ink:#1d2126;--soft:#5b6470;--line:#e2e4e8;--grid:#eceef1;--rest:#c9ced6;
--behind:#c3c8d0;--none:#4b5563;--class_weight:#0072b2;--random:#e69f00;--smote:#009e73;--refined:#cc5f9a;
--reduced:#8a5a2b;--gain:#087f5b;--loss:#b42318;--even:#5b6470;--hot:#d55e00}
@media (prefers-color-scheme:dark){:root{--page:#14171b;--card:#1c2026;--ink:#e8eaed;--soft:#a3abb6;--line:#323842;
--grid:#2a3038;--rest:#4a525e;--behind:#4d5561;--none:#c3c9d2;--class_weight:#56b4e9;--random:#f0b83d;--smote:#3ccfa0;
--refined:#ea8fc0;--reduced:#d0a074;--gain:#4cd3a5;--loss:#ff8a7a;--even:#a3abb6;--hot:#ff9248}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--ink);font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,
"Helvetica Neue",Arial,sans-serif}
main{max-width:1000px;margin:0 auto;padding:28px 20px 64px}
.run{margin:0 0 12px;color:var(--soft);font-size:14px}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:22px 26px;margin:0 0 18px}
h1{font-size:25px;line-height:1.3;margin:0 0 10px;font-weight:650;text-wrap:balance}
h2{font-size:18px;margin:0 0 6px;font-weight:650}
.lead{margin:0 0 16px;color:var(--soft);max-width:72ch}
.verdict{border-left:6px solid var(--even)}.verdict.gain{border-left-color:var(--gain)}
.verdict.loss{border-left-color:var(--loss)}
.word{display:block;font-size:14px;letter-spacing:.02em;color:var(--even)}
.gain .word{color:var(--gain)}.loss .word{color:var(--loss)}
.findings{list-style:none;margin:14px 0 0;padding:0;font-variant-numeric:tabular-nums;font-size:15px}
.findings li{padding:3px 0}.findings b{display:inline-block;min-width:8em}
.tag{display:inline-block;border:1px solid currentColor;border-radius:999px;padding:0 9px;margin-right:6px;
font-size:13px;color:var(--even)}
.tag.gain{color:var(--gain)}.tag.loss{color:var(--loss)}
svg{display:block;width:100%;height:auto;font:13px system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif}
.label{fill:var(--ink)}.tick{fill:var(--soft);font-size:12px;font-variant-numeric:tabular-nums}
.grid{stroke:var(--grid)}.axis{stroke:var(--soft);stroke-width:1.5}
.guess{stroke:var(--soft);stroke-dasharray:2 4}
.line{fill:none;stroke:var(--k);stroke-width:2;stroke-linejoin:round}.stroke{stroke:var(--k);stroke-width:3;
stroke-linecap:round}
.fill{fill:var(--k)}.fill.rest{fill:var(--rest)}.fill.hot{fill:var(--hot)}.ring{stroke:var(--card);stroke-width:1.5}
.panel{fill:none;stroke:var(--line)}
.dots{fill:none;stroke:var(--k);stroke-width:3.4;stroke-linecap:round;opacity:.55}
.dots.behind{stroke:var(--behind);opacity:.8}
.k-none{--k:var(--none)}.k-class_weight{--k:var(--class_weight)}.k-random{--k:var(--random)}
.k-smote,.k-smoten,.k-crossover,.k-borderline-1,.k-borderline-2,.k-adasyn,.k-imblearn{--k:var(--smote)}
.k-refined{--k:var(--refined)}.k-reduced{--k:var(--reduced)}
.chip{display:inline-block;width:11px;height:11px;border-radius:3px;background:var(--k);margin-right:8px}
.legend{display:flex;flex-wrap:wrap;gap:4px 18px;list-style:none;margin:0 0 10px;padding:0;font-size:14px}
.wide{overflow-x:auto}
table{border-collapse:collapse;width:100%;font-size:14px;font-variant-numeric:tabular-nums}
th,td{padding:8px 10px 8px 0;text-align:right;vertical-align:top;border-bottom:1px solid var(--line)}
th:first-child,.text{text-align:left}tbody th:first-child{min-width:10.5em}
th{font-weight:600}thead th{color:var(--soft);font-weight:500;
vertical-align:bottom}
tbody tr:last-child th,tbody tr:last-child td{border-bottom:0}
small{display:block;color:var(--soft);font-size:12px;font-weight:400}td small{white-space:nowrap}
.best{font-weight:700}
details{margin-top:12px}summary{cursor:pointer;color:var(--soft);font-size:14px}
details .wide{margin-top:8px}
ul{padding-left:20px;margin:8px 0 0}li{margin:4px 0}.findings,.legend{padding-left:0}
dl{display:grid;grid-template-columns:max-content 1fr;gap:4px 20px;margin:8px 0 0;font-size:14px}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere}code{font-size:13px}
@media print{section{break-inside:avoid}}
""".strip()
