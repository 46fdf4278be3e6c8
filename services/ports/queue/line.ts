import type { Message } from './port.ts';

/** A message in its place: ids rise in the order of sending. */
export interface Entry {
  readonly id: number;
  readonly message: Message;
}

/** The messages of one pool that can be handed out now. */
export interface Line {
  /** A message that comes back takes its old place among those of its group. */
  add(entry: Entry): void;
  /** The oldest message of the group whose turn it is. */
  take(): Entry | undefined;
}

/** The oldest first; what lies before `start` has been taken. */
interface Group {
  entries: Entry[];
  start: number;
}

/** Taken entries after which a group's array is cut. */
const slackEntries = 1024;

/** A line in which groups take turns, and the messages of a group keep their order. */
export function createLine(): Line {
  // In the order of turns: the first one is next, and goes to the end when it has been served.
  const groups = new Map<string, Group>();
  return {
    add(entry) {
      const name = entry.message.group;
      const group = groups.get(name);
      if (group === undefined) {
        groups.set(name, { entries: [entry], start: 0 });
        return;
      }
      const { entries, start } = group;
      let at = entries.length;
      while (at > start && (entries[at - 1]?.id ?? 0) > entry.id) at -= 1;
      entries.splice(at, 0, entry);
    },

    take() {
      const [next] = groups;
      if (next === undefined) return undefined;
      const [name, group] = next;
      const entry = group.entries[group.start];
      group.start += 1;
      groups.delete(name);
      if (group.start < group.entries.length) {
        if (group.start >= slackEntries) {
          group.entries = group.entries.slice(group.start);
          group.start = 0;
        }
        groups.set(name, group);
      }
      return entry;
    },
  };
}
