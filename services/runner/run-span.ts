import { parseTraceparent } from '../core/trace.ts';
import type { Assignment, ReportedOutcome } from '../ports/fleet-protocol/port.ts';
import type { Span, Traces } from '../ports/traces/port.ts';
import type { CogEnding } from './cog-client.ts';

/** The span of one attempt at a job, and of what it consists of. */
export interface RunSpan {
  /** The call of Cog, which is told of it, so that what the model records becomes part of it. */
  beginCall(): { readonly traceparent: string; end(ending: Pick<CogEnding, 'kind'>): void };
  /** The time that the output's files take to be brought away. */
  beginStoring(): Span;
  /** @param outcome undefined where another instance shall run the job */
  end(outcome: ReportedOutcome | undefined): void;
}

/** @returns undefined where the job is not traced */
export function beginRunSpan(
  traces: Traces,
  { id, attempt, version, traceparent: parent }: Assignment,
  instance: { readonly instanceId: string; readonly cogUrl: string },
): RunSpan | undefined {
  if (!parseTraceparent(parent)?.isSampled) return undefined;
  const attributes = {
    'mimeo.prediction.id': id,
    'mimeo.attempt': attempt,
    'mimeo.version': version,
    'mimeo.instance': instance.instanceId,
  };
  const run = traces.begin('run', { kind: 'internal', parent, attributes });
  return {
    beginCall() {
      const { hostname, port } = new URL(instance.cogUrl);
      const call = traces.begin('PUT /predictions/{id}', {
        kind: 'client',
        parent: run.traceparent,
        attributes: {
          'http.request.method': 'PUT',
          'url.template': '/predictions/{id}',
          'server.address': hostname,
          'server.port': Number(port),
          'mimeo.prediction.id': id,
        },
      });
      return {
        traceparent: call.traceparent,
        end: ({ kind }) =>
          call.end({
            attributes: { 'mimeo.cog.ending': kind },
            error: kind === 'succeeded' ? undefined : kind,
          }),
      };
    },
    beginStoring: () => traces.begin('store files', { kind: 'internal', parent: run.traceparent }),
    end(outcome) {
      const status = outcome?.status ?? 'given_back';
      const error = outcome?.status === 'failed' ? outcome.failure.code : undefined;
      run.end({ attributes: { 'mimeo.status': status }, error });
    },
  };
}
