import { expect } from 'vitest';
import type { PlatformClient } from '../support/local-server.ts';
import type { Inventory } from '../support/python-checks.ts';

/** What the clients can call and the platform does not have yet: their methods, and a request that they make. */
const withoutRoute = [
  { call: /\bcollections\./, request: ['GET', '/collections'] },
  { call: /\bdeployments\./, request: ['GET', '/deployments'] },
  { call: /\btrainings\./, request: ['GET', '/trainings'] },
  { call: /(^| )search$/, request: ['GET', '/search?query=x'] },
  { call: /\bmodels\.(async_)?search$/, request: ['QUERY', '/models'] },
] as const;

/**
 * Fails where a client has a method that no check called, unless the platform has no route for it.
 * @param except methods that no check can call, each with a reason at the caller's
 */
export async function expectEveryMethodCalled(
  server: PlatformClient,
  { methods, called }: Inventory,
  except: readonly string[] = [],
): Promise<void> {
  const left = methods.filter((method) => !called.includes(method) && !except.includes(method));
  expect(left.filter((method) => !withoutRoute.some(({ call }) => call.test(method)))).toEqual([]);
  for (const { request } of withoutRoute) {
    // One that has a route now is no exception any more.
    expect([404, 405]).toContain((await server.call(request[0], request[1])).status);
  }
}
