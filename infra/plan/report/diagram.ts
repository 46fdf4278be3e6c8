import type { PlannedComponent } from '../tree.ts';
import { type Markup, markup } from './escape.ts';
import { usd } from './figures.ts';

/** Components as they stand in the picture of docs/architecture.md, row by row; what is not named stands below. */
const planes = [
  {
    title: 'Control plane',
    note: 'serverless, holds all state, runs no model',
    rows: [
      ['api', 'registry', 'secrets', 'images'],
      ['table', 'jobs', 'outputs', 'channel'],
      ['metering', 'webhooks', 'registrar', 'sweeper'],
    ],
  },
  {
    title: 'Capacity plane',
    note: 'stateless, calls out over the fleet protocol, has no credentials',
    rows: [['cluster', 'in-cluster']],
  },
] as const;
const around = { title: 'Under and around', note: 'where it stands, who watches, who pays' };

/** What each component is for, in a word or two. */
const roles: Readonly<Record<string, string>> = {
  api: 'API, Fargate behind a balancer',
  registry: "models' images",
  secrets: 'signing key, first token',
  images: "the services' images",
  table: 'jobs, models, the ledger',
  jobs: 'hints that jobs wait',
  outputs: 'files and large values',
  channel: 'live events, doorbells',
  metering: 'changes to usage',
  webhooks: 'changes to deliveries',
  registrar: 'pushes to versions',
  sweeper: 'repairs, retention',
  cluster: 'Kubernetes, system nodes',
  'in-cluster': 'director, autoscaler, rules',
  network: 'VPC and ways out',
  observability: 'dashboard, alarms',
  guardrails: 'budgets, anomalies',
  stack: "the program's providers",
};

const box = { width: 226, height: 84, gap: 14 } as const;
const margin = { side: 20, top: 64, bottom: 18 } as const;
const linkHeight = 58;

/** How wide the picture is: so many boxes in a row. */
interface Frame {
  readonly perRow: number;
  readonly width: number;
}

interface Plane {
  readonly title: string;
  readonly note: string;
  readonly rows: readonly (readonly PlannedComponent[])[];
}

/**
 * The architecture as SVG, with what each component costs at idle and at peak on it.
 * @param perRow components side by side
 */
export function diagram(components: readonly PlannedComponent[], perRow: number): Markup {
  const frame: Frame = { perRow, width: margin.side * 2 + perRow * (box.width + box.gap) - box.gap };
  const all = planesOf(components, perRow);
  const dearest = Math.max(1, ...components.map(({ monthlyUsd }) => monthlyUsd.peak));
  const links = ['clients call over HTTPS', 'runners and the director call out over HTTPS', ''];
  let y = 0;
  const parts = all.map((plane, at) => {
    const link = linkTo(frame, y, links[at] ?? '', at === 0 ? 'down' : 'up');
    y += at < 2 ? linkHeight : box.gap * 2;
    const drawn = drawPlane(plane, frame, y, dearest);
    y += heightOf(plane);
    return markup`${at < 2 ? link : undefined}${drawn}`;
  });
  const label = 'The architecture: each component with its cost a month at idle and at peak';
  return markup`<svg viewBox="0 0 ${frame.width} ${y + 2}" role="img" aria-label="${label}">
<defs><marker id="tip-${perRow}" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto-start-reverse"><path d="M0 0L10 5L0 10z" class="tip"/></marker></defs>
${parts}</svg>`;
}

function planesOf(components: readonly PlannedComponent[], perRow: number): readonly Plane[] {
  const byName = new Map(components.map((one) => [one.name, one]));
  const tiers = components.filter(({ name }) => name.startsWith('tier-'));
  const named = new Set<string>([
    ...planes.flatMap(({ rows }) => rows.flat()),
    ...tiers.map(({ name }) => name),
  ]);
  const present = planes.map(({ title, note, rows }, at) => {
    const found = rows.map((row) => row.map((name) => byName.get(name)).filter((one) => one !== undefined));
    const isCapacity = at === planes.length - 1;
    const boxes = isCapacity
      ? chunks([...found.flat(), ...tiers], perRow)
      : found.flatMap((row) => chunks(row, perRow));
    return { title, note, rows: boxes.filter((row) => row.length > 0) };
  });
  const rest = chunks(
    components.filter(({ name }) => !named.has(name)),
    perRow,
  );
  return [...present, { ...around, rows: rest }].filter(({ rows }) => rows.length > 0);
}

function chunks(all: readonly PlannedComponent[], perRow: number): readonly (readonly PlannedComponent[])[] {
  return Array.from({ length: Math.ceil(all.length / perRow) }, (_, at) =>
    all.slice(at * perRow, (at + 1) * perRow),
  );
}

function heightOf({ rows }: Plane): number {
  return margin.top + rows.length * (box.height + box.gap) - box.gap + margin.bottom;
}

function drawPlane(plane: Plane, frame: Frame, top: number, dearest: number): Markup {
  const boxes = plane.rows.flatMap((row, down) =>
    row.map((one, across) => {
      const x = margin.side + across * (box.width + box.gap);
      const y = top + margin.top + down * (box.height + box.gap);
      return drawBox(one, x, y, dearest);
    }),
  );
  const inner = markup`<text x="${margin.side}" y="${top + 28}" class="title">${plane.title}</text><text x="${margin.side}" y="${top + 48}" class="note">${plane.note}</text>`;
  return markup`<g><rect x="1" y="${top}" width="${frame.width - 2}" height="${heightOf(plane)}" rx="12" class="plane"/>${inner}${boxes}</g>
`;
}

function drawBox(one: PlannedComponent, x: number, y: number, dearest: number): Markup {
  const { name, monthlyUsd, resources } = one;
  const share = Math.sqrt(monthlyUsd.peak / dearest) * (box.width - 24);
  const role = roles[name] ?? (name.startsWith('tier-') ? 'machines for models' : '');
  const title = `${name}: ${resources.length} resources, ${usd(monthlyUsd.idle)} a month at idle, ${usd(monthlyUsd.peak)} at peak`;
  return markup`<g><title>${title}</title><rect x="${x}" y="${y}" width="${box.width}" height="${box.height}" rx="8" class="box"/>
<text x="${x + 12}" y="${y + 22}" class="name">${name}</text><text x="${x + 12}" y="${y + 40}" class="note">${role}</text>
<text x="${x + 12}" y="${y + 64}" class="cost"><tspan class="note">idle </tspan>${usd(monthlyUsd.idle)}<tspan class="note">   peak </tspan>${usd(monthlyUsd.peak)}</text>
<rect x="${x + 12}" y="${y + 73}" width="${share.toFixed(1)}" height="3" rx="1.5" class="share"/></g>
`;
}

/** What goes between two planes, and which way. */
function linkTo(frame: Frame, top: number, text: string, way: 'up' | 'down'): Markup {
  const x = frame.width / 4;
  const [from, to] = way === 'down' ? [top + 10, top + linkHeight - 6] : [top + linkHeight - 6, top + 6];
  return markup`<path d="M${x} ${from}V${to}" class="link" marker-end="url(#tip-${frame.perRow})"/><text x="${x + 14}" y="${top + linkHeight / 2 + 4}" class="note">${text}</text>
`;
}
