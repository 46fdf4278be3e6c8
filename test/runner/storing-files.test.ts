import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, onTestFinished, test, vi } from 'vitest';
import { newJobId } from '../../services/core/ids.ts';
import type { LaunchSpec } from '../../services/core/launch.ts';
import { packFolder } from '../../services/registrar/pack.ts';
import { SourceRegistrar } from '../../services/registrar/source.ts';
import { temporaryHome, testModel } from '../registrar/registrar-home.ts';
import { startInstance } from './instance.ts';

const within = { timeout: 20_000, interval: 5 };

/** A store that answers only when it is let go. */
async function openSlowStore() {
  const waiting: ServerResponse[] = [];
  const server = createServer((request, response) => {
    request.resume().on('end', () => waiting.push(response));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  return {
    waiting,
    place: () => ({ name: newJobId(Date.now()), url }),
    letGo: () => {
      for (const response of waiting.splice(0)) response.end();
    },
  };
}

async function launchFileOut(): Promise<LaunchSpec> {
  const registrar = new SourceRegistrar({ home: await temporaryHome() });
  const { stream } = await packFolder(testModel('file-out'));
  return await registrar.launch((await registrar.build(stream, { onProgress: () => {} })).id);
}

test('a cancel while files are stored harms no model, and what it made is told with the end', async () => {
  const { protocol, runner } = await startInstance(await launchFileOut(), { cancelGraceMs: 0 });
  const store = await openSlowStore();
  protocol.place = store.place;
  const watch = vi.spyOn(protocol, 'watch');
  const job = protocol.submit({ text: 'made' });
  await vi.waitFor(() => expect(store.waiting).toHaveLength(1), within);

  protocol.cancel(job.id);
  // The watch after the one that told of it: it is stopped by then, and its grace is over.
  await vi.waitFor(() => expect(watch.mock.calls.length).toBeGreaterThan(1), within);
  store.letGo();

  const { outcome } = await job.ended;
  expect(outcome).toMatchObject({ output: null, files: [{ path: [] }] });
  expect([runner.phase, runner.broken]).toEqual(['ready', null]);
  const next = protocol.submit({ text: 'next' });
  await vi.waitFor(() => expect(store.waiting).toHaveLength(1), within);
  store.letGo();
  expect((await next.ended).outcome).toMatchObject({ status: 'succeeded', files: [{ path: [] }] });
});
