//! How the page looks: light, dark, narrow, printed.

/// The page's style sheet. Figures bring their own.
pub(super) const PAGE_STYLE: &str = "
:root{--ground:#f6f7f9;--card:#fff;--ink:#1b1f24;--muted:#57606a;--rule:#d8dde3;--accent:#00619a;
--ok:#00664b;--ok-ground:#e0f4ed;--near:#725000;--near-ground:#fbf1d6;--missed:#a01a35;--missed-ground:#fce8ec;
--highlight:#eaf3fa}
*{box-sizing:border-box}
html{-webkit-text-size-adjust:100%}
body{margin:0;background:var(--ground);color:var(--ink);line-height:1.55;
font:16px/1.55 system-ui,-apple-system,\"Segoe UI\",\"Helvetica Neue\",Arial,\"Liberation Sans\",sans-serif}
header,.page,footer{max-width:1180px;margin:0 auto;padding:0 24px}
header{padding-top:36px}
h1{font-size:1.9rem;line-height:1.2;margin:0 0 6px;letter-spacing:-.01em;overflow-wrap:anywhere}
h2{font-size:1.3rem;line-height:1.3;margin:44px 0 10px;padding-top:14px;border-top:1px solid var(--rule);
overflow-wrap:anywhere;break-after:avoid}
p{margin:0 0 14px;max-width:74ch;overflow-wrap:anywhere}
a{color:var(--accent)}
.subtitle{font-size:1.08rem;color:var(--muted);margin-bottom:12px}
.note{display:inline-block;font-size:.9rem;font-weight:600;color:var(--near);background:var(--near-ground);
border-radius:6px;padding:4px 12px;margin-bottom:8px}
.skip{position:absolute;left:-999px}
.skip:focus{left:12px;top:12px;background:var(--card);padding:8px 12px;z-index:1}
nav{font-size:.9rem;margin:16px 0}
nav p{font-weight:600;margin:0 0 4px}
nav ol{margin:0;padding-left:1.5em}
nav li{margin:3px 0;overflow-wrap:anywhere}
nav a{text-decoration:none}
nav a:hover{text-decoration:underline}
main{min-width:0}
@media (min-width:1120px){.page{display:grid;grid-template-columns:200px minmax(0,1fr);gap:40px}
nav{position:sticky;top:20px;align-self:start;max-height:calc(100vh - 40px);overflow:auto}}
.strip ul{list-style:none;margin:16px 0 0;padding:0;display:grid;gap:12px;
grid-template-columns:repeat(auto-fit,minmax(160px,1fr))}
.strip li{background:var(--card);border:1px solid var(--rule);border-left:5px solid var(--rule);border-radius:8px;
padding:12px 14px;display:flex;flex-direction:column;align-items:flex-start;gap:2px;min-width:0}
.strip li.ok{border-left-color:var(--ok)}
.strip li.near{border-left-color:var(--near)}
.strip li.missed{border-left-color:var(--missed)}
.label{font-size:.87rem;font-weight:600;overflow-wrap:anywhere}
.value{font-size:1.85rem;font-weight:650;line-height:1.2;font-variant-numeric:tabular-nums}
.detail{font-size:.82rem;color:var(--muted);font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.badge{display:inline-block;font-size:.78rem;font-weight:600;line-height:1.4;border-radius:999px;padding:1px 9px;
margin:4px 0;white-space:nowrap}
td .badge,th .badge{margin:0 10px 0 0}
.badge.ok{color:var(--ok);background:var(--ok-ground)}
.badge.near{color:var(--near);background:var(--near-ground)}
.badge.missed{color:var(--missed);background:var(--missed-ground)}
.warning{border-left:4px solid var(--near);background:var(--near-ground);border-radius:0 6px 6px 0;padding:10px 14px}
figure{margin:18px 0 24px;break-inside:avoid;min-width:0}
.plot{background:var(--card);border:1px solid var(--rule);border-radius:8px;overflow:hidden;text-align:center;
line-height:0}
.plot svg{max-width:100%;height:auto}
figcaption{font-size:.9rem;color:var(--muted);margin-top:8px;max-width:82ch;overflow-wrap:anywhere}
figcaption strong,caption strong{color:var(--ink)}
.row{display:grid;gap:0 16px;grid-template-columns:repeat(auto-fit,minmax(min(380px,100%),1fr));align-items:start}
.scroll{overflow-x:auto;margin:18px 0 24px}
table{border-collapse:collapse;font-size:.92rem;min-width:min(100%,460px);font-variant-numeric:tabular-nums}
caption{text-align:left;font-size:.9rem;color:var(--muted);padding-bottom:8px;overflow-wrap:anywhere}
th,td{padding:6px 14px;text-align:left;vertical-align:baseline;border-bottom:1px solid var(--rule)}
thead th{border-bottom:2px solid var(--muted);border-top:2px solid var(--muted);font-weight:600}
tbody th{font-weight:500}
tbody tr:last-child>*{border-bottom:2px solid var(--muted)}
.number{text-align:right;white-space:nowrap}
.highlight>*{background:var(--highlight);font-weight:650}
details{border:1px solid var(--rule);border-radius:8px;background:var(--card);padding:0 14px;margin:0 0 16px}
summary{cursor:pointer;font-weight:600;padding:10px 0}
dl{display:grid;grid-template-columns:minmax(120px,max-content) 1fr;gap:6px 20px;font-size:.92rem;margin:0}
dt{font-weight:600}
dd{margin:0;font-family:ui-monospace,\"SF Mono\",Menlo,Consolas,\"Liberation Mono\",monospace;font-size:.88rem;
overflow-wrap:anywhere}
footer{margin-top:48px;padding-top:16px;padding-bottom:32px;border-top:1px solid var(--rule);font-size:.9rem;
color:var(--muted)}
:focus-visible{outline:2px solid var(--accent);outline-offset:2px}
@media screen and (prefers-color-scheme:dark){:root{--ground:#0d1117;--card:#161b22;--ink:#e6e8eb;--muted:#a3acb8;
--rule:#30363d;--accent:#6cb6ff;--ok:#56d6ac;--ok-ground:#0f2f27;--near:#ecc65a;--near-ground:#33290f;
--missed:#ff92a4;--missed-ground:#3a161d;--highlight:#16283a}}
@media print{@page{margin:16mm}
body{background:#fff;font-size:10.5pt}
header,.page,footer{max-width:none;padding:0}
nav,.skip{display:none}
.page{display:block}
h2{margin-top:24px}
.scroll{overflow:visible}
.strip li,.plot,details{break-inside:avoid}
*{-webkit-print-color-adjust:exact;print-color-adjust:exact}
details::details-content{display:block;content-visibility:visible;height:auto}}
";
