/** Attributes of spans: ids, names, statuses and durations; never inputs, outputs, tokens or whole URLs. */
export type SpanAttributes = Readonly<Record<string, string | number | boolean | undefined>>;

export interface SpanOptions {
  readonly kind: 'server' | 'client' | 'internal';
  /** `traceparent` of the span that it is part of. A new trace begins where there is none, or none that can be read. */
  readonly parent: string | null | undefined;
  readonly attributes?: SpanAttributes;
  /** Epoch ms. @default now */
  readonly startAt?: number;
  /** Its own `traceparent`, where that was settled before; else a new one. */
  readonly traceparent?: string;
}

/** How a span ended. */
export interface SpanEnd {
  /** Where it is known only now. */
  readonly name?: string;
  readonly attributes?: SpanAttributes;
  /** What kind of thing went wrong, such as a status or a code; given where something did. */
  readonly error?: string | undefined;
  /** Epoch ms. @default now */
  readonly endAt?: number;
}

/** Something that takes time, as part of a trace. */
export interface Span {
  /** To be handed to whatever is done within it, over HTTP or in a stored item. */
  readonly traceparent: string;
  /** Records it. One that never ends is recorded by nobody. */
  end(how?: SpanEnd): void;
}

/** Where traces go. Who has none records nothing, and pays nothing for that. */
export interface Traces {
  begin(name: string, options: SpanOptions): Span;
  /** Sends what was recorded and not sent yet, for as long as a moment. */
  close(): Promise<void>;
}
