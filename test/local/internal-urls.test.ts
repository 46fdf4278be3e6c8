import { expect, it } from 'vitest';
import { withInternalUrls } from '../../services/local/internal-urls.ts';
import type { RunnerProtocol } from '../../services/ports/fleet-protocol/port.ts';
import { MemoryProtocol } from '../runner/memory-protocol.ts';

const urls = { publicUrl: 'https://mimeo.example', internalUrl: 'http://127.0.0.1:1' };

it('a runner on this machine gets URLs that lead to this machine, and all others as they are', async () => {
  const memory = new MemoryProtocol();
  memory.place = () => ({ name: 'n', url: 'https://mimeo.example/v1/objects/a?x' });
  const runner: RunnerProtocol = {
    lease: async (request, signal) => memory.lease(request, signal),
    heartbeat: async (request) => memory.heartbeat(request),
    watch: async (request, signal) => memory.watch(request, signal),
    report: async (report) => memory.report(report),
    placeFile: async () => memory.placeFile(),
    giveBack: async (ref) => memory.giveBack(ref),
    reportInstance: async (report) => memory.reportInstance(report),
  };
  const protocol = withInternalUrls(runner, urls);
  memory.submit({
    file: 'https://mimeo.example/v1/files/a',
    others: ['https://mimeo.example.org/v1/files/a', 'see https://mimeo.example/v1/'],
  });

  expect((await protocol.lease({ instance: 'i', waitSeconds: 0 }))?.input).toEqual({
    file: 'http://127.0.0.1:1/v1/files/a',
    others: ['https://mimeo.example.org/v1/files/a', 'see https://mimeo.example/v1/'],
  });
  const place = await protocol.placeFile({ id: 'i', attempt: 1, contentType: 'text/plain' });
  expect(place.url).toBe('http://127.0.0.1:1/v1/objects/a?x');
});

it('where both are the same nothing is put in between', () => {
  const protocol: RunnerProtocol = new MemoryProtocol();
  const { publicUrl } = urls;

  expect(withInternalUrls(protocol, { publicUrl, internalUrl: publicUrl })).toBe(protocol);
});
