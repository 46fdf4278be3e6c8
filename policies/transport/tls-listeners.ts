import { resourcePolicy } from '../policy.ts';
import { at, listAt, type PolicedResource, textAt } from '../resource.ts';
import { whereEnvironment } from '../settings.ts';

const balancerType = 'awsx:lb:ApplicationLoadBalancer';

export const tlsListeners = resourcePolicy({
  name: 'tls-listeners',
  description: 'A load balancer should speak TLS 1.2 or later, and send plain HTTP there.',
  enforcement: 'mandatory',
  settings: {
    plainHttp: whereEnvironment('Environments that may be served without TLS', ['dev']),
  },
  types: ['aws:lb/listener:Listener', balancerType],
  check(resource, { settings: { plainHttp } }) {
    return listenersOf(resource).flatMap((listener) => mistakes(listener, plainHttp));
  },
});

/** awsx listens to plain HTTP where it is told of no listener. */
function listenersOf({ type, props }: PolicedResource): readonly unknown[] {
  if (type !== balancerType) return [props];
  const given = [...listAt(props, 'listener'), ...listAt(props, 'listeners')];
  return given.length > 0 ? given : [{ protocol: 'HTTP', port: 80 }];
}

function mistakes(listener: unknown, plainHttp: boolean): readonly string[] {
  const protocol = textAt(listener, 'protocol') ?? (at(listener, 'port') === 443 ? 'HTTPS' : 'HTTP');
  const port = String(at(listener, 'port') ?? 80);
  if (protocol === 'HTTPS' || protocol === 'TLS') {
    const policy = textAt(listener, 'sslPolicy') ?? '';
    if (/^ELBSecurityPolicy-(TLS13-1-[23]|FS-1-2|TLS-1-2)/.test(policy)) return [];
    return [
      `takes old versions of TLS on port ${port}; set sslPolicy to ELBSecurityPolicy-TLS13-1-2-2021-06`,
    ];
  }
  if (plainHttp || isRedirect(listener)) return [];
  return [
    `speaks plain HTTP on port ${port}; redirect it to HTTPS, with api.certificateArn or api.hostedZoneId`,
  ];
}

function isRedirect(listener: unknown): boolean {
  const actions = listAt(listener, 'defaultActions');
  return (
    actions.length > 0 &&
    actions.every(
      (action) => at(action, 'type') === 'redirect' && at(action, 'redirect', 'protocol') === 'HTTPS',
    )
  );
}
