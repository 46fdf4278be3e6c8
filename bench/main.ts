import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { Argument, Command, InvalidArgumentError, Option } from 'commander';
import { defaultCogVersion } from '../services/registrar/environment.ts';
import { findPython } from '../services/registrar/python.ts';
import { SourceRegistrar } from '../services/registrar/source.ts';
import { type ColdSummary, measureColdStarts } from './cold.ts';
import { measureCost } from './cost/measure.ts';
import { formatCost } from './cost/report.ts';
import { measureFleet } from './fleet/measure.ts';
import { formatFleet } from './fleet/report.ts';
import { type LargeSummary, measureLargeFile } from './large.ts';
import { startLoadProcess } from './load-process.ts';
import { pushModel, verifyRecorded } from './mimeo-api.ts';
import { measurePeers, type PeersSummary } from './peers.ts';
import { measureQueue, type QueuedSummary } from './queued.ts';
import { formatReport, type Setting } from './report.ts';
import { runPairs } from './rounds.ts';
import { freshHome, type MimeoServer, startCog, startMimeo } from './servers.ts';
import { measureStreams, type StreamSummary } from './stream.ts';
import { type LoadSummary, summarizeLoad } from './summary.ts';
import { judge, type Measured } from './targets.ts';

const usualParts = ['latency', 'throughput', 'stream', 'cold'] as const;
/** Measured when asked for: they take minutes, or a lot of the disk. */
const extraParts = ['large', 'queued', 'peers'] as const;
const parts = [...usualParts, ...extraParts];
type Part = (typeof parts)[number];
type Extra = (typeof extraParts)[number];
const isUsual = (part: Part) => usualParts.some((usual) => usual === part);

interface Options {
  readonly what: string | undefined;
  readonly rounds: number;
  readonly seconds: number;
  readonly only?: Part;
  readonly all?: boolean;
  readonly large?: boolean;
  readonly queued?: boolean;
  readonly queue: number;
  readonly peers?: boolean;
  readonly json?: boolean;
  readonly check?: boolean;
  readonly profile?: string;
}

/** Clients that each part of the load is measured with. */
const clientsOf = { latency: 1, throughput: 8 } as const;

const root = join(import.meta.dirname, '..');
const home = join(root, '.cache/bench');
/** Longer than any run: the instance stays while the other side has its turn. */
const idleSeconds = 3600;
const say = (line: string) => console.error(line);

function readOptions(): Options {
  const command = new Command('bench')
    .description('Measures bare Cog against the whole of Mimeo in front of the same Cog, in one run.')
    .addArgument(
      new Argument(
        '[what]',
        'in place of all else: what a million predictions cost in AWS, or what a director of thousands of pods takes',
      ).choices(['cost', 'fleet']),
    )
    .option('--rounds <n>', 'pairs of rounds for each case', positiveWhole, 5)
    .option('--seconds <s>', 'how long a round of load lasts', positive, 2)
    .addOption(new Option('--only <part>', 'measure one part').choices(parts))
    .option('--large', 'measure a file of 200 MiB as well, through upload, model and download')
    .option('--queued', 'measure predictions that are queued as well')
    .option('--queue <n>', 'how many are queued', positiveWhole, 10_000)
    .option('--peers', 'measure LitServe, BentoML and Ray Serve as well; they are installed first')
    .option('--all', 'measure everything')
    .option('--json', 'print JSON in place of the table')
    .option('--check', 'exit with 1 when a target is missed')
    .option('--profile <folder>', "write a CPU profile of the Mimeo process's load and streams there")
    .parse();
  return { ...command.opts<Options>(), what: command.args[0] };
}

function positive(text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new InvalidArgumentError('It takes a number above zero.');
  return value;
}

function positiveWhole(text: string): number {
  if (!/^[1-9]\d*$/.test(text)) throw new InvalidArgumentError('It takes a whole number above zero.');
  return Number(text);
}

async function main(): Promise<void> {
  const options = readOptions();
  if (options.what === 'cost') return await reckonCost(options);
  if (options.what === 'fleet') return await tryFleet(options);
  const setting: Setting = {
    command: `npm run bench${process.argv.length > 2 ? ` -- ${process.argv.slice(2).join(' ')}` : ''}`,
    cpus: `${cpus().length} × ${cpus()[0]?.model.trim() ?? 'CPU'}`,
    node: process.version,
    cog: defaultCogVersion,
    rounds: options.rounds,
    seconds: options.seconds,
    loadBefore: loadavg()[0] ?? 0,
  };
  const measured = await measure(options);
  const verdicts = judge(measured);
  process.stdout.write(
    options.json
      ? `${JSON.stringify({ setting, ...measured, verdicts }, null, 2)}\n`
      : `\n${formatReport(setting, measured, verdicts)}`,
  );
  if (options.check && verdicts.some(({ met }) => !met)) process.exitCode = 1;
}

async function reckonCost({ json, check }: Options): Promise<void> {
  const summary = await measureCost(say);
  process.stdout.write(json ? `${JSON.stringify(summary, null, 2)}\n` : `\n${formatCost(summary)}`);
  if (check && summary.plainUsd > summary.targetUsd) process.exitCode = 1;
}

async function tryFleet({ json }: Options): Promise<void> {
  const summary = await measureFleet(say);
  process.stdout.write(json ? `${JSON.stringify(summary, null, 2)}\n` : `\n${formatFleet(summary)}`);
}

async function measure(options: Options): Promise<Measured> {
  const wants = (part: Part) =>
    options.only === undefined
      ? isUsual(part) || options.all || options[part as Extra]
      : options.only === part;
  await freshHome(home);
  const registrar = new SourceRegistrar({ home, python: process.env.MIMEO_PYTHON });
  say('Starting Mimeo');
  const server = await startMimeo({ home, idleSeconds, profileFolder: options.profile, say });
  let version: string;
  const load: LoadSummary[] = [];
  let streams: readonly StreamSummary[] = [];
  let large: LargeSummary | undefined;
  let queued: QueuedSummary | undefined;
  let peers: PeersSummary | undefined;
  try {
    version = await pushModel(server, 'noop', join(root, 'test/models/noop'), say);
    for (const part of ['latency', 'throughput'] as const)
      if (wants(part)) load.push(await measureLoad(server, registrar, version, part, options));
    if (wants('stream')) streams = await measureTokens(server, registrar, options);
    if (wants('peers')) peers = await measureAgainstPeers(server, registrar, version, options);
    if (wants('queued')) queued = await measureQueued(server, version, options.queue);
    if (wants('large')) large = await measureLarge(server);
  } finally {
    await server.close();
  }
  let cold: ColdSummary | undefined;
  if (wants('cold')) {
    const launch = await registrar.launch(version);
    cold = await measureColdStarts({
      home,
      model: 'local/noop',
      version,
      launch,
      rounds: options.rounds,
      say,
    });
  }
  await freshHome(home);
  return { load, streams, cold, large, queued, peers };
}

let noopPredictions = 0;

async function measureLoad(
  server: MimeoServer,
  registrar: SourceRegistrar,
  version: string,
  part: 'latency' | 'throughput',
  { rounds, seconds }: Options,
): Promise<LoadSummary> {
  const clients = clientsOf[part];
  const cog = await startCog(await registrar.launch(version));
  const load = startLoadProcess();
  try {
    const { pairs, mimeoPredictions } = await runPairs(load, {
      bare: { kind: 'cog', url: cog.url },
      mimeo: { kind: 'mimeo', url: server.url, token: server.token, version },
      clients,
      rounds,
      seconds,
      say,
    });
    noopPredictions += mimeoPredictions;
    await verifyRecorded(server, 'noop', noopPredictions);
    say(`${noopPredictions} predictions through Mimeo so far, each recorded and in the ledger`);
    return summarizeLoad(clients, pairs);
  } finally {
    load.close();
    await cog.close();
  }
}

async function measureTokens(
  mimeo: MimeoServer,
  registrar: SourceRegistrar,
  { rounds }: Options,
): Promise<readonly StreamSummary[]> {
  const version = await pushModel(mimeo, 'clock', join(import.meta.dirname, 'models/clock'), say);
  const cog = await startCog(await registrar.launch(version));
  try {
    const measured = await measureStreams({ bareUrl: cog.url, mimeo, version, rounds, say });
    await verifyRecorded(mimeo, 'clock', measured.mimeoPredictions);
    return measured.summaries;
  } finally {
    await cog.close();
  }
}

async function measureAgainstPeers(
  server: MimeoServer,
  registrar: SourceRegistrar,
  version: string,
  { rounds, seconds }: Options,
): Promise<PeersSummary> {
  const cog = await startCog(await registrar.launch(version));
  const load = startLoadProcess();
  const { url, token, pid } = server;
  try {
    const { summary, mimeoPredictions } = await measurePeers({
      bare: { name: 'bare Cog', target: { kind: 'cog', url: cog.url }, pid: cog.pid },
      mimeo: { name: 'Mimeo, with its Cog', target: { kind: 'mimeo', url, token, version }, pid },
      folder: join(home, 'peers'),
      python: (await findPython({ preferred: process.env.MIMEO_PYTHON })).path,
      load,
      rounds,
      seconds,
      say,
    });
    noopPredictions += mimeoPredictions;
    await verifyRecorded(server, 'noop', noopPredictions);
    return summary;
  } finally {
    load.close();
    await cog.close();
  }
}

async function measureQueued(
  server: MimeoServer,
  version: string,
  predictions: number,
): Promise<QueuedSummary> {
  const holder = await pushModel(server, 'holder', join(import.meta.dirname, 'models/clock'), say);
  const ranBefore = noopPredictions;
  const summary = await measureQueue({ server, name: 'noop', version, holder, ranBefore, predictions, say });
  noopPredictions += predictions;
  await verifyRecorded(server, 'noop', noopPredictions);
  say(`${predictions} more predictions, each recorded and in the ledger`);
  return summary;
}

async function measureLarge(server: MimeoServer): Promise<LargeSummary> {
  const version = await pushModel(server, 'copy', join(import.meta.dirname, 'models/copy'), say);
  const folder = home;
  const { summary, predictions } = await measureLargeFile({ server, version, folder, megabytes: 200, say });
  await verifyRecorded(server, 'copy', predictions);
  return summary;
}

main().catch((error: unknown) => {
  console.error(`bench: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
});
