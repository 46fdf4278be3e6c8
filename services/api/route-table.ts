import type { Hono } from 'hono';

interface Node {
  readonly children: Map<string, Node>;
  /** What stands in any other segment's place. */
  any: Node | undefined;
  /** The pattern of the routes that end here. */
  pattern: string | undefined;
  /** The pattern of a route that takes whatever follows. */
  rest: string | undefined;
}

/** Tells which route's pattern a path has, by a step for each of its segments. */
export class RouteTable {
  readonly #root = emptyNode();

  /** @param app with all its routes registered */
  // biome-ignore lint/suspicious/noExplicitAny: -- of whatever environment
  constructor(app: Pick<Hono<any>, 'routes'>) {
    for (const { method, path } of app.routes) if (method !== 'ALL') this.#add(path);
  }

  /** Such as `/v1/predictions/{id}`; undefined where no route has it. */
  find(path: string): string | undefined {
    let node: Node | undefined = this.#root;
    let rest: string | undefined;
    for (let start = 1; start <= path.length && node; ) {
      const slash = path.indexOf('/', start);
      const end = slash === -1 ? path.length : slash;
      rest = node.rest ?? rest;
      node = node.children.get(path.slice(start, end)) ?? (end > start ? node.any : undefined);
      start = end + 1;
    }
    return node?.pattern ?? rest;
  }

  #add(route: string): void {
    const pattern = route.replace(/:(\w+)(\{[^}]*\})?/g, '{$1}');
    let node = this.#root;
    for (const segment of route.split('/').slice(1)) {
      if (segment === '*' || segment.includes('{')) {
        node.rest = pattern;
        return;
      }
      if (segment.startsWith(':')) {
        node.any ??= emptyNode();
        node = node.any;
      } else {
        const known = node.children.get(segment) ?? emptyNode();
        node.children.set(segment, known);
        node = known;
      }
    }
    node.pattern ??= pattern;
  }
}

function emptyNode(): Node {
  return { children: new Map(), any: undefined, pattern: undefined, rest: undefined };
}
