import { z } from 'zod';

/** The parts of a JSON schema that hold keys. */
interface Group {
  readonly properties?: Readonly<Record<string, Group>>;
  readonly items?: Group;
  readonly anyOf?: readonly Group[];
}

/**
 * Returns the sentence part `; did you mean …?` for a key that other groups of the file have, or an empty text.
 * `group` is the name of the group that does not have the key, such as `nodes[0].tls`.
 */
export function placesOf(key: string, group: string, schema: z.ZodType): string {
  const file = z.toJSONSchema(schema, { io: 'input', unrepresentable: 'any' }) as Group;
  const places = pathsOf(file)
    .filter((path) => path.split('.').at(-1) === key)
    .map((path) => (path === key ? `${key} at the top of the file` : inSameEntry(path, group)));
  return places.length === 0 ? '' : `; did you mean ${places.join(' or ')}?`;
}

/** Returns the paths of all keys, such as `server.port` and `nodes[].tls.ca_file`. */
function pathsOf({ properties = {}, items, anyOf = [] }: Group, above = ''): string[] {
  const keys = Object.entries(properties).flatMap(([key, value]) => {
    const path = above === '' ? key : `${above}.${key}`;
    return [path, ...pathsOf(value, path)];
  });
  return [
    ...keys,
    ...(items === undefined ? [] : pathsOf(items, `${above}[]`)),
    ...anyOf.flatMap((alternative) => pathsOf(alternative, above)),
  ];
}

/** Returns the path with the index of the entry that the group is in, if it leads to the same list. */
function inSameEntry(path: string, group: string): string {
  const [entry, list] = /^(.*?)\[\d+\]/.exec(group) ?? [];
  return entry !== undefined && path.startsWith(`${list ?? ''}[]`)
    ? path.replace(`${list ?? ''}[]`, entry)
    : path;
}
