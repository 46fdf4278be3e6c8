import type { RunnerProtocol } from '../ports/fleet-protocol/port.ts';

/**
 * A runner's protocol whose URLs of this server are those by which this machine itself reaches it: a public name may
 * not lead here from inside, and a model's Python does not know a certificate of one's own making.
 * @param urls without a slash at the end
 * @returns the protocol itself where both are the same
 */
export function withInternalUrls<T extends RunnerProtocol>(
  protocol: T,
  urls: { readonly publicUrl: string; readonly internalUrl: string },
): T {
  const { publicUrl, internalUrl } = urls;
  if (publicUrl === internalUrl) return protocol;
  const internal = (url: string) =>
    url.startsWith(`${publicUrl}/v1/`) ? `${internalUrl}${url.slice(publicUrl.length)}` : url;
  return {
    ...protocol,
    lease: async (request, signal) => {
      const assignment = await protocol.lease(request, signal);
      return assignment && { ...assignment, input: mapTexts(assignment.input, internal) };
    },
    placeFile: async (request) => {
      const place = await protocol.placeFile(request);
      return { ...place, url: internal(place.url) };
    },
  };
}

function mapTexts<T>(value: T, map: (text: string) => string): T {
  if (typeof value === 'string') return map(value) as T;
  if (Array.isArray(value)) return value.map((item: unknown) => mapTexts(item, map)) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [name, mapTexts(member, map)]),
  ) as T;
}
