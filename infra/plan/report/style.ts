/** The page's looks, light and dark by what the reader's system says. Nothing is fetched: fonts are the system's. */
export const style = `
:root {
  color-scheme: light dark;
  --page: #fbfbfa; --card: #fff; --plane: #f2f2ef; --line: #dcdcd6; --text: #1c1c1a; --dim: #66665f;
  --accent: #1f6feb; --good: #1a7f37; --bad: #c4242b; --warn: #93600a;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #141413; --card: #1e1e1c; --plane: #191917; --line: #34342f; --text: #ececea; --dim: #a3a39b;
    --accent: #6ea8fe; --good: #56c271; --bad: #ff7b72; --warn: #e0a848;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 28px 20px 60px; }
h1 { font-size: 24px; margin: 0; }
h2 { font-size: 18px; margin: 44px 0 12px; }
p { margin: 6px 0; }
code { font: 0.92em ui-monospace, monospace; overflow-wrap: anywhere; }
a { color: var(--accent); }
.dim, small { color: var(--dim); }
small { display: block; font-size: 13px; overflow-wrap: anywhere; }
.good { color: var(--good); } .bad { color: var(--bad); } .warn { color: var(--warn); }
.totals { display: grid; grid-template-columns: repeat(auto-fit, minmax(200px, 1fr)); gap: 14px; margin-top: 20px; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 14px 16px; }
.total strong { display: block; font-size: 30px; line-height: 1.25; font-variant-numeric: tabular-nums; }
.picture svg { display: block; width: 100%; height: auto; }
.narrow { display: none; }
@media (max-width: 720px) { .wide { display: none; } .narrow { display: block; } }
svg text { fill: var(--text); font: 13px system-ui, sans-serif; }
svg .title { font-size: 17px; font-weight: 600; }
svg .name { font-size: 15px; font-weight: 600; }
svg .note { fill: var(--dim); font-size: 13px; font-weight: 400; }
svg .cost { font-size: 14px; font-weight: 600; white-space: pre; }
svg .plane { fill: var(--plane); stroke: var(--line); }
svg .box { fill: var(--card); stroke: var(--line); }
svg .share, svg .tip { fill: var(--accent); }
svg .link { stroke: var(--accent); stroke-width: 2; fill: none; }
.tiers { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 14px; }
.tiers h3 { margin: 0; font-size: 16px; }
.off { opacity: 0.72; }
.bars { display: grid; grid-template-columns: auto 1fr auto; gap: 4px 10px; align-items: center; margin: 10px 0; }
.bars i { display: block; height: 9px; border-radius: 4px; background: var(--accent); }
.bars i.aws { background: var(--dim); }
.bars span { font-variant-numeric: tabular-nums; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: 7px 10px 7px 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-size: 13px; color: var(--dim); font-weight: 500; }
.number { text-align: right; padding-right: 0; padding-left: 10px; white-space: nowrap; font-variant-numeric: tabular-nums; }
tfoot td { font-weight: 600; border-bottom: 0; }
.policies { list-style: none; padding: 0; margin: 0; }
.policies li { padding: 6px 0 6px 26px; position: relative; border-bottom: 1px solid var(--line); }
.policies li > b:first-child { position: absolute; left: 2px; }
details { border-bottom: 1px solid var(--line); padding: 6px 0; }
summary { cursor: pointer; }
summary .number { float: right; }
ol.sources { padding-left: 24px; font-size: 13px; color: var(--dim); overflow-wrap: anywhere; }
sup { line-height: 0; } sup a { text-decoration: none; }
@media (max-width: 480px) {
  main { padding: 20px 14px 40px; }
  .tiers { grid-template-columns: 1fr; }
  .total strong { font-size: 26px; }
}
`;
