import type { Price } from '../../aws/prices.ts';
import type { RecordedResource } from '../record.ts';

/** When something costs: while nobody calls, or while every machine is busy all month. */
export type CostState = 'idle' | 'peak';

/**
 * One line of a month's bill in one state. A state's lines are the whole bill of it: what stands always has a line in
 * both.
 */
export interface CostLine {
  /** URN of the resource that it is for. */
  readonly resource: string;
  /** The component that it belongs to, such as `network`. */
  readonly component: string;
  /** Such as `NAT gateways`. */
  readonly what: string;
  /** Of `unit`, a month. */
  readonly quantity: number;
  /** What is counted, such as `hour`. */
  readonly unit: string;
  readonly unitUsd: number;
  /** `quantity` × `unitUsd` */
  readonly monthlyUsd: number;
  /** Where the price was read. */
  readonly source: string;
  /** When it was read or published; null where the source does not say. */
  readonly asOf: string | null;
  readonly at: CostState;
  /** What the quantity rests on, where that is not in the program; undefined where it is. */
  readonly assumption: string | undefined;
}

/** What a resource is charged for, a month, in both states. */
export interface Charge {
  readonly what: string;
  readonly price: Price;
  /** What one of the quantity is, such as `hour`. */
  readonly unit: string;
  readonly idle: number;
  readonly peak: number;
  readonly assumption?: string;
}

/** What cannot be priced, and why. */
export interface Unpriced {
  readonly unpriced: string;
}

/** A resource that the plan has no price for: it costs more than the plan says. */
export interface NotPriced {
  readonly resource: string;
  readonly type: string;
  readonly name: string;
  readonly why: string;
}

/** A charge as lines, one for each state in which there is something to pay for. */
export function linesOf(charge: Charge, resource: RecordedResource, component: string): readonly CostLine[] {
  const { what, price, unit, assumption } = charge;
  const states = [
    { at: 'idle', quantity: charge.idle },
    { at: 'peak', quantity: charge.peak },
  ] as const;
  return states
    .filter(({ quantity }) => quantity > 0)
    .map(({ at, quantity }) => ({
      resource: resource.urn,
      component,
      what,
      quantity,
      unit,
      unitUsd: price.usd,
      monthlyUsd: quantity * price.usd,
      source: price.source,
      asOf: price.asOf,
      at,
      assumption,
    }));
}
