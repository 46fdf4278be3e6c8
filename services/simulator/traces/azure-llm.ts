import { type Workload, WorkloadBuilder } from '../workload.ts';
import type { NamedText } from './azure-functions.ts';
import { Table, TraceError, wrongLine } from './lines.ts';

/** How fast a model reads and writes. */
export interface TokenSpeed {
  readonly contextPerSecond: number;
  readonly generatedPerSecond: number;
}

/** Supposed, since the trace has no run times: what a small model does on one GPU for one reader. */
export const supposedTokenSpeed: TokenSpeed = { contextPerSecond: 2000, generatedPerSecond: 50 };

/**
 * The Azure LLM inference trace: one request a line, with its time and tokens; how long it runs follows from a speed.
 * All are of one pool.
 * Source of the format: Azure/AzurePublicDataset, AzureLLMInferenceDataset2023.md (TIMESTAMP,ContextTokens,GeneratedTokens).
 * @throws TraceError
 */
export function readAzureLlm(trace: NamedText, speed: TokenSpeed): Workload {
  const table = new Table(trace.file, trace.text);
  const builder = new WorkloadBuilder(trace.file);
  let first: number | undefined;
  for (const row of table.rows) {
    const cells = table.cells(row);
    const text = table.text(row, cells, 'TIMESTAMP');
    // Its seven digits of a second are more than a date takes; its zone is not told.
    const at = Date.parse(`${text.replace(' ', 'T').replace(/(\.\d{3})\d*$/, '$1')}Z`);
    if (Number.isNaN(at))
      throw wrongLine(trace.file, row, `TIMESTAMP is "${text}"; it takes a date and a time`);
    first ??= at;
    if (at < first) throw wrongLine(trace.file, row, `TIMESTAMP "${text}" is before that of the first line`);
    const seconds =
      table.number(row, cells, 'ContextTokens') / speed.contextPerSecond +
      table.number(row, cells, 'GeneratedTokens') / speed.generatedPerSecond;
    builder.add('llm', at - first, seconds * 1000);
  }
  if (builder.jobs === 0) throw new TraceError(`${trace.file} has no requests.`);
  return builder.build();
}

/** Whether a first line is that of such a trace. */
export function isAzureLlm(header: string): boolean {
  return header.startsWith('TIMESTAMP,ContextTokens,GeneratedTokens');
}
