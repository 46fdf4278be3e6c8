import type { MiddlewareHandler } from 'hono';
import type { Traces } from '../ports/traces/port.ts';
import type { ApiEnv } from './auth.ts';
import type { RouteTable } from './route-table.ts';

/**
 * Records a span for each request, as part of its sender's trace or as a new one, by OpenTelemetry's conventions for
 * HTTP servers. Queries are left out: some hold signatures.
 * @param routes all routes, once they are registered
 */
export function traceRequests(traces: Traces, routes: () => RouteTable): MiddlewareHandler<ApiEnv> {
  return async (context, next) => {
    const { method, path, url } = context.req;
    const span = traces.begin(method, {
      kind: 'server',
      parent: context.req.header('traceparent'),
      attributes: {
        'http.request.method': method,
        'url.path': path,
        'url.scheme': url.slice(0, url.indexOf(':')),
      },
    });
    context.set('traceparent', span.traceparent);
    await next();
    const route = routes().find(path);
    const { status } = context.res;
    span.end({
      name: route === undefined ? method : `${method} ${route}`,
      attributes: {
        'http.route': route,
        'http.response.status_code': status,
        'mimeo.account': context.get('caller')?.account,
      },
      error: status >= 500 ? String(status) : undefined,
    });
  };
}
