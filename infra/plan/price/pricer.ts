import { hoursPerMonth, type Price, servicePrice } from '../../aws/prices.ts';
import type { RecordedResource } from '../record.ts';
import type { Charge, Unpriced } from './cost-line.ts';
import type { ResourceGraph } from './graph.ts';

/** What a resource is charged for, given all others. An empty list says that it is free in this form. */
export type Pricer = (resource: RecordedResource, graph: ResourceGraph) => readonly (Charge | Unpriced)[];

/** Prices of one kind of resources, by type. */
export type Pricers = Readonly<Record<string, Pricer>>;

/** What stands all month: so many of it at idle and at peak, by the hour. */
export function standing(what: string, price: Price, idle: number, peak: number = idle): Charge {
  return { what, price, unit: 'hour', idle: idle * hoursPerMonth, peak: peak * hoursPerMonth };
}

/** What is charged for by the month whether or not anybody calls. */
export function monthly(what: string, unit: string, price: Price, quantity = 1): Charge {
  return { what, price, unit, idle: quantity, peak: quantity };
}

/** A price of prices.json where the program stands. @throws Error where there is none */
export function priceOf(graph: ResourceGraph, service: string, item: string): Price {
  return servicePrice(service, item, graph.region);
}

/** The price of one, of a price for `per`, such as a million. */
export function each(price: Price, per: number): Price {
  return { ...price, usd: price.usd / per };
}
