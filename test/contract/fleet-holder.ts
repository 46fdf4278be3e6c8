import type { LaunchSpec } from '../../services/core/launch.ts';
import { createProcessFleet } from '../../services/ports/fleet/processes.ts';
import { startRunner } from '../../services/runner/app.ts';
import { MemoryProtocol } from '../runner/memory-protocol.ts';

// Started as a process of its own by a test, to be killed: holds an instance and prints its port when it is ready.
const spec = JSON.parse(process.argv[2] ?? '') as LaunchSpec;
let port = '';
const fleet = createProcessFleet({
  capacity: 1,
  launch: async () => spec,
  startRunner: ({ id, ...instance }) => {
    port = new URL(instance.cogUrl).port;
    return startRunner({ protocol: new MemoryProtocol(), instanceId: id, ...instance });
  },
});
fleet.onChange(async () => {
  if ((await fleet.observe())[0]?.phase === 'ready') console.log(port);
});
const pool = {
  id: 'p',
  account: 'a',
  model: 'a/b',
  version: 'v',
  hardware: 'cpu',
  concurrency: 1,
  streams: false,
};
await fleet.apply(pool, 1);
