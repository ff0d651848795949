import { BlockList, isIP, isIPv6 } from 'node:net';
import { z } from 'zod';

/** A text of at least `minimum` characters. */
export const text = (minimum = 1) =>
  z.preprocess(
    asText,
    z
      .string({ error: wants('must be a text (in quotes if it looks like a number)') })
      .min(minimum, 'must not be empty'),
  );

/** A text of this form. `rule` completes the sentence "must be …", and `command` prints such a text. */
export const textLike = (form: RegExp, rule: string, command?: string) => {
  const remedy = command === undefined ? '' : `; \`${command}\` prints one`;
  return z.preprocess(
    asText,
    z
      .string({ error: wants(`must be ${rule} (in quotes if it looks like a number)${remedy}`) })
      .regex(form, `must be ${rule}${remedy}`),
  );
};

/** An id of the URL: 32 letters and digits, and this suffix. */
export const id = (suffix: '' | 'in07' | 'no07') => {
  const command = 'openssl rand -hex 16';
  return suffix === ''
    ? textLike(/^[A-Za-z0-9]{32}$/, '32 letters and digits', command)
    : textLike(
        new RegExp(`^[A-Za-z0-9]{32}${suffix}$`),
        `36 letters and digits that end in ${suffix}`,
        `${command} | sed 's/$/${suffix}/'`,
      );
};

/** A host name or an IP address. Removes the square brackets around an IPv6 address. */
export const host = () =>
  text()
    .transform((given) => {
      const [, inside = ''] = /^\[(.*)\]$/.exec(given) ?? [];
      return isIPv6(inside) ? inside : given;
    })
    .refine(isHost, 'must be a host name or an IP address, without a port');

// A name that ends in a number is a mistyped address: resolvers read 1.2.3 as 1.2.0.3.
function isHost(given: string): boolean {
  if (isIP(given) !== 0) return true;
  return (
    /^(?=.{1,253}$)[\p{L}\p{M}\p{N}_-]{1,63}(\.[\p{L}\p{M}\p{N}_-]{1,63})*\.?$/u.test(given) &&
    !/\.\d+\.?$/.test(given)
  );
}

/** An integer from `minimum` to `maximum`, both included. */
export const integer = (minimum: number, maximum: number) => {
  const rule = `must be an integer from ${minimum} to ${maximum}`;
  return z.preprocess(
    asNumber,
    z
      .int({ error: wants(rule) })
      .min(minimum, rule)
      .max(maximum, rule),
  );
};

/** A time limit in milliseconds, at most ten minutes. */
export const timeLimit = () => integer(1, 600_000);

/** `true` or `false`. */
export const flag = () =>
  z.preprocess(asBoolean, z.boolean({ error: wants('must be true or false') }));

const PROXY_RULE =
  'must be true, false, a number of proxies, or their addresses or networks in one text, separated by commas';

/** The fewest bits of a network that may be trusted without client certificates. */
const SHORTEST_IPV4 = 8;
const SHORTEST_IPV6 = 16;
const MAPPED_BITS = 96;
const MAPPED = new BlockList();
MAPPED.addSubnet('::ffff:0:0', MAPPED_BITS, 'ipv6');

/** The proxies that may name the client's address, as Express's `trust proxy` takes them. */
export const trustedProxies = () =>
  z.union([flag(), integer(0, 100), text().refine(areNetworks, PROXY_RULE)], { error: PROXY_RULE });

function areNetworks(networks: string): boolean {
  return networks
    .split(',')
    .map((network) => network.trim())
    .every((network) => /^(loopback|linklocal|uniquelocal)$/.test(network) || isNetwork(network));
}

/** Returns true if any peer may name the client's address. Short networks count: 0.0.0.0/1 and 128.0.0.0/1 hold all addresses. */
export function trustsEveryPeer(proxies: boolean | number | string): boolean {
  if (typeof proxies !== 'string') return proxies === true;
  return proxies.split(',').some((network) => isTooWide(network.trim()));
}

function isTooWide(network: string): boolean {
  const [ip = '', bits] = network.split('/');
  if (bits === undefined) return false;
  if (isIP(ip) === 4) return Number(bits) < SHORTEST_IPV4;
  // Every IPv4 client is in ::ffff:0:0/96, which has several spellings.
  const isMapped = MAPPED.check(ip, 'ipv6');
  return Number(bits) < (isMapped ? MAPPED_BITS + SHORTEST_IPV4 : SHORTEST_IPV6);
}

function isNetwork(address: string): boolean {
  const [ip = '', bits = '0', ...rest] = address.split('/');
  const maxBits = isIP(ip) === 6 ? 128 : 32;
  return isIP(ip) !== 0 && /^\d{1,3}$/.test(bits) && Number(bits) <= maxBits && rest.length === 0;
}

/** One of these words. */
export const oneOf = <const W extends readonly [string, ...string[]]>(words: W) =>
  z.preprocess(asText, z.enum(words, { error: wants(`must be one of ${words.join(', ')}`) }));

/** A group of these keys. Any other key is an error, whose message lists the keys of the group, separated by spaces. */
export const keys = <S extends z.core.$ZodLooseShape>(shape: S) =>
  z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? Object.keys(shape).join(' ')
        : wants('must be a group of keys')(issue),
  });

/** A list of at least `minimum` entries. */
export const list = <S extends z.ZodType>(entry: S, minimum = 0) =>
  z.array(entry, { error: wants('must be a list') }).min(minimum, 'must not be empty');

/**
 * The same list. Two entries may not have the same text under this key, in any letter case, unless they differ under the key `within`.
 */
export const distinct = <S extends z.ZodType<readonly object[]>>(
  entries: S,
  key: string,
  within?: string,
) =>
  entries.superRefine((value, context) => {
    const texts = asEntries(value).map((entry) => {
      const group = within === undefined ? '' : String(entry[within]);
      return JSON.stringify([group, String(entry[key]).normalize().toLowerCase()]);
    });
    texts.forEach((text, index) => {
      const first = texts.indexOf(text);
      if (first === index || asEntries(value)[index]?.[key] === undefined) return;
      context.addIssue({
        code: 'custom',
        path: [index, key],
        message: `is the same as in entry [${first}]${within === undefined ? '' : `, which has the same ${within}`}`,
      });
    });
  }, EVEN_IF_WRONG);

/** Runs a check also if a key of its value has a problem of its own. The check must expect any value. */
export const EVEN_IF_WRONG = { when: () => true };

function asEntries(value: unknown): readonly Readonly<Record<string, unknown>>[] {
  if (!Array.isArray(value)) return [];
  return value.map((entry: unknown) =>
    typeof entry === 'object' && entry !== null ? (entry as Readonly<Record<string, unknown>>) : {},
  );
}

/** The value of an environment variable. A key for a number or a boolean converts its text. */
export class Variable {
  readonly text: string;
  constructor(value: string) {
    this.text = value;
  }
}

function asText(value: unknown): unknown {
  return value instanceof Variable ? value.text : value;
}

function asNumber(value: unknown): unknown {
  if (!(value instanceof Variable)) return value;
  return /^-?\d{1,15}$/.test(value.text) ? Number(value.text) : value.text;
}

function asBoolean(value: unknown): unknown {
  if (!(value instanceof Variable)) return value;
  return value.text === 'true' ? true : value.text === 'false' ? false : value.text;
}

function wants(rule: string) {
  return (issue: { readonly input?: unknown }): string =>
    issue.input === undefined ? 'is required' : rule;
}
