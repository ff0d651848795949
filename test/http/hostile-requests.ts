import { METHODS } from 'node:http';
import { brotliCompressSync, deflateSync, gzipSync } from 'node:zlib';
import fc, { type Arbitrary } from 'fast-check';
import { nodeKey, processesPath } from '../support/ids.ts';
import { TOKEN } from '../support/service.ts';

/** A request of an HTTP client. Each character of the path, the headers and the body is one byte. */
export interface HttpRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body?: string;
}

/** All bytes of a connection until the client closes its side. Each character is one byte. */
export interface RawRequest {
  readonly bytes: string;
}

export const MAX_IDS = 1000;
export const MAX_BODY_BYTES = 262_144;
const MAX_URI_LENGTH = 8192;
const MAX_HEADER_BYTES = 65_536;
const MAX_ID = 2n ** 63n - 1n;

/** The token of a caller that may only list in the project of `nodeKey`. */
export const LISTING_TOKEN = 'token-of-the-reader';
/** The token of a caller that may do everything in `OTHER_PROJECT`. */
export const OTHER_TOKEN = 'token-of-strangers';
/** An access key that may do everything in the project of `nodeKey`. */
export const ACCESS_KEY = 'AKIDFUZZ';
export const OTHER_PROJECT = '0123456789abcdef0123456789ABCDEF';
/** A node of another instance in the project of `nodeKey`. */
export const OTHER_NODE = {
  ...nodeKey,
  instanceId: '0123456789abcdef0123456789abcdefin07',
  nodeId: '0123456789abcdef0123456789abcdefno07',
};

/** The ids of the node's sessions, at the limits of 32-bit and 64-bit integers and of doubles. */
export const SESSION_IDS: readonly bigint[] = [
  ...[1n, 12n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 32n],
  ...[2n ** 53n - 1n, 2n ** 53n, 2n ** 53n + 1n, MAX_ID],
];

/**
 * Returns the distinct ids in a body of DELETE, or undefined if the body is malformed.
 * This oracle has its own grammar, apart from the parser of the service.
 */
export function askedIds(body: string): readonly bigint[] | undefined {
  const list = VALID_BODY.exec(body)?.[1];
  const digits = list?.split(',').map((text) => text.trim());
  if (digits?.every((text) => /^(0|[1-9]\d{0,18})$/.test(text)) !== true) return undefined;
  const ids = [...new Set(digits.map(BigInt))];
  return ids.length <= MAX_IDS && ids.every((id) => id <= MAX_ID) ? ids : undefined;
}

const VALID_BODY = ((): RegExp => {
  const letters = [...'processes'].map((letter) => {
    const hex = letter.charCodeAt(0).toString(16).replace('f', '[fF]');
    return String.raw`(?:${letter}|\\u00${hex})`;
  });
  const tokens = [String.raw`\{`, `"${letters.join('')}"`, ':', String.raw`\[(\d+(?:_,_\d+)*_)\]`];
  const grammar = `^_${tokens.join('_')}_}_$`.replace(String.raw`\[(`, String.raw`\[_(`);
  return new RegExp(grammar.replaceAll('_', String.raw`[ \t\n\r]*`));
})();

const isMalformed = (body: string): boolean => askedIds(body) === undefined;

// Parts of the generators.

function words(text: string): string[] {
  return text.split(/[ \n]+/).filter((word) => word !== '');
}

/** Splits a text at ` | `, for parts that contain spaces. */
function phrases(text: string): string[] {
  return text.split(' | ');
}

/** Returns the UTF-8 bytes of a text, one character for each byte. */
function bytesOf(text: string, encoding: BufferEncoding = 'utf8'): string {
  return Buffer.from(text, encoding).toString('latin1');
}

function textOf(characters: string, length: { minLength?: number; maxLength?: number } = {}) {
  return fc.string({ unit: fc.constantFrom(...characters), ...length });
}

const LETTERS_AND_DIGITS = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';
const VISIBLE = String.fromCharCode(...Array.from({ length: 94 }, (_, index) => 0x21 + index));
const HIGH = String.fromCharCode(...Array.from({ length: 128 }, (_, index) => 0x80 + index));

const jsonText = fc.jsonValue().map((value) => JSON.stringify(value));
const headerText = textOf(` ${VISIBLE}${HIGH}`);
const isHeaderText = (text: string): boolean => /^[\t\x20-\x7e\x80-\xff]*$/.test(text);

const mutation = fc.record({
  kind: fc.constantFrom('flip', 'set', 'insert', 'remove', 'repeat', 'swap'),
  place: fc.nat(),
  byte: fc.oneof(textOf('"\\{}[]:,0123456789eE+-. \n\0ux\x7f\x80\xef\xff', ONE()), anyByte()),
  length: fc.integer({ min: 1, max: 12 }),
});

function ONE() {
  return { minLength: 1, maxLength: 1 };
}

function anyByte(): Arbitrary<string> {
  return fc.nat(255).map((code) => String.fromCharCode(code));
}

interface Mutation {
  readonly kind: string;
  readonly place: number;
  readonly byte: string;
  readonly length: number;
}

function mutate(text: string, { kind, place, byte, length }: Mutation): string {
  const at = place % Math.max(text.length, 1);
  const [before, after] = [text.slice(0, at), text.slice(at)];
  if (kind === 'flip') return flipBit(text, at, length % 8);
  if (kind === 'set') return before + byte + after.slice(1);
  if (kind === 'insert') return before + byte + after;
  if (kind === 'remove') return before + after.slice(length);
  if (kind === 'repeat') return before + after.slice(0, length) + after;
  return (
    before + after.slice(length, 2 * length) + after.slice(0, length) + after.slice(2 * length)
  );
}

function flipBit(text: string, at: number, bit: number): string {
  const flipped = String.fromCharCode(text.charCodeAt(at) ^ (1 << bit));
  return text.slice(0, at) + flipped + text.slice(at + 1);
}

/** Returns the text with one bit of one character changed. */
function oneBitOff(text: string): Arbitrary<string> {
  return fc.tuple(fc.nat(text.length - 1), fc.nat(7)).map(([at, bit]) => flipBit(text, at, bit));
}

const language = fc.oneof(
  fc.constantFrom('en-us', 'zh-cn', 'ZH-CN', 'zh-cn,en-us', 'de', '../../etc/passwd', '__proto__'),
  headerText,
);

const jsonType = fc.constantFrom(
  ...['application/json', 'application/json;charset=utf-8', 'application/json;charset=UTF-8'],
  'Application/JSON ; Charset="utf-8"',
);

const killMethod = fc.constantFrom(
  { method: 'DELETE', headers: {} },
  { method: 'POST', headers: { 'X-HTTP-Method-Override': 'DELETE' } },
);

/** A valid request that kills, unless the body or one of the changes is malformed. */
function kill(
  body: Arbitrary<string>,
  changes: Arbitrary<Partial<HttpRequest>> = fc.constant({}),
): Arbitrary<HttpRequest> {
  return fc
    .tuple(body, killMethod, jsonType, fc.option(language), changes)
    .map(([content, { method, headers }, type, languages, changed]) => ({
      method,
      path: processesPath(),
      body: content,
      ...changed,
      headers: {
        'X-Auth-Token': TOKEN,
        'Content-Type': type,
        ...headers,
        ...(languages !== null && { 'X-Language': languages }),
        ...changed.headers,
      },
    }));
}

/** A valid GET or HEAD, unless the changes are malformed. */
function read(changes: Arbitrary<Partial<HttpRequest>>): Arbitrary<HttpRequest> {
  return fc
    .tuple(fc.constantFrom('GET', 'HEAD'), fc.option(language), changes)
    .map(([method, languages, changed]) => ({
      method,
      path: processesPath(),
      ...changed,
      headers: {
        'X-Auth-Token': TOKEN,
        ...(languages !== null && { 'X-Language': languages }),
        ...changed.headers,
      },
    }));
}

function without(headers: HttpRequest['headers'], name: string): HttpRequest['headers'] {
  return Object.fromEntries(Object.entries(headers).filter(([other]) => other !== name));
}

// 1. Bodies.

const id = fc.oneof(
  fc.constantFrom(...SESSION_IDS),
  fc
    .tuple(fc.constantFrom(...SESSION_IDS), fc.integer({ min: -2, max: 2 }))
    .map(([edge, distance]) => edge + BigInt(distance))
    .filter((near) => near >= 0n && near <= MAX_ID),
  fc.bigInt({ min: 0n, max: MAX_ID }),
);
const ids = fc.array(id, { minLength: 1, maxLength: 5 }).map((list) => list.join(','));

const space = textOf(' \t\n\r', { maxLength: 2 });

/** The name `processes`. One in four has escaped letters. */
const key = fc.oneof(
  { weight: 3, arbitrary: fc.constant('"processes"') },
  {
    weight: 1,
    arbitrary: fc
      .tuple(...[...'processes'].map((letter) => fc.constantFrom(letter, ...escapesOf(letter))))
      .map((letters) => `"${letters.join('')}"`),
  },
);

function escapesOf(letter: string): string[] {
  const hex = letter.charCodeAt(0).toString(16);
  return [String.raw`\u00${hex}`, String.raw`\u00${hex.toUpperCase()}`];
}

/** Valid bodies in every form that JSON allows. */
const validBody = fc
  .tuple(key, ids, space, space)
  .map(([name, list, before, after]) =>
    `{_${name} :_[ ${list.replaceAll(',', '_, ')}_] }_`
      .replaceAll('_', before)
      .replaceAll(' ', after),
  );

// N stands for the digits of a valid id.
const WRONG_SPELLINGS = [
  ...words(String.raw`
    N.0 N. N.5 N.000000000000000000001 Ne0 NE+0 Ne-0 Ne1 N0e-1 0.N 0N 000N +N -N --N Nn NL N_0 N__
    "N" "N\n" "N.0" 'N' [N] [[N]] {"id":N} {"N":N} {"$numberLong":"N"} (N) ((N)) N, ,N N,,N N;N N|N
    N// N/**/ /**/N #N N% N:N N-N N+0 N*1 N/1 N==N N..N $N @N \N \u0031N N\n 0xN 0bN 0oN NULLN
  `),
  ...['N N', ' "N "', 'N\0', '\0N', '\fN', 'N\v', '\u00a0N', 'N\u2028', '\ufeffN', 'N \u3000'],
];

const NO_IDS = [
  ...words(String.raw`
    -0 0.0 -0.0 00 -1 1.0 1e3 1E2 00012 +1 0x10 0xc .5 - . e 1e 1e+ 1e400 -1e400 1e-400 1E999999999
    9223372036854775808 18446744073709551616 9223372036854775807.0 9223372036854775807e0 1e19
    0.12e2 1.2e1 120e-1 9.223372036854775807e18 NaN Infinity -Infinity undefined true false null
    None nul nulll TRUE "" "12" '12' "12 12" [] [12] [[[12]]] {} {"id":12} {"0":12} {"length":1}
    \u0031 12\u0000 Symbol() {{12}} * % ? <12> 12-- 1;KILL "12;KILL" "\u0031\u0032" "\ud800" /12/
  `),
  ...phrases('new Date | 1 or 1=1 | "1; KILL 12" | 12 /* */ |  | 1 2 | １２ | ١٢ | ² | Ⅻ | 十二'),
  ...['5'.repeat(5000), '1'.repeat(30_000), `1${'0'.repeat(5000)}`, `0.${'1'.repeat(5000)}`],
];

/** Numbers that wrap around to the id in an integer of another size. */
const wrappedId = fc
  .tuple(id, fc.constantFrom(2n ** 64n, -(2n ** 64n), MAX_ID, 2n ** 63n, 2n ** 65n, 2n ** 128n))
  .map(([n, period]) => n + period)
  .filter((n) => n < 0n || n > MAX_ID);

const wrongId = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.constantFrom(...WRONG_SPELLINGS), id)
      .map(([spelling, n]) => spelling.replaceAll('N', n.toString())),
  },
  { weight: 3, arbitrary: fc.constantFrom(...NO_IDS) },
  { weight: 1, arbitrary: wrappedId.map(String) },
  { weight: 1, arbitrary: fc.bigInt({ min: MAX_ID + 1n, max: 2n ** 70n }).map(String) },
  { weight: 1, arbitrary: fc.bigInt({ min: -(2n ** 70n), max: -1n }).map(String) },
  { weight: 1, arbitrary: fc.double().map(String) },
  { weight: 1, arbitrary: jsonText },
);

const wrongIds = fc
  .tuple(key, fc.option(ids), wrongId, fc.option(ids))
  .map(([name, before, wrong, after]) => {
    const list = [before, wrong, after].filter((part) => part !== null);
    return bytesOf(`{${name}:[${list.join(',')}]}`);
  });

const NO_ARRAYS = words(`
  null true false 12 "12" "[12]" "" {} {"0":12} [] {"0":12,"length":1} {"processes":[12]} [[12]] [[]]
  [null] [12 12] 12,1 [12][1] (12) [12]] undefined * [*] all "all" "*" [12], [12]: [12]: [..] [1-12]
`);

const OTHER_KEYS = [
  ...words(String.raw`
    Processes PROCESSES process processes\u0000 processes[] processes[0] body.processes .processes * **
    ids processes. $.processes __proto__ constructor proceſſes рrocesses \processes processes\u0020
  `),
  ...['', ' processes', 'processes ', 'proc\nesses', 'processes\0'],
];

const wrongProcesses = fc.oneof(
  fc.tuple(key, fc.constantFrom('', ...NO_ARRAYS)).map(([name, value]) => `{${name}:${value}}`),
  fc
    .tuple(
      key,
      jsonText.filter((text) => !text.startsWith('[')),
    )
    .map(([name, value]) => bytesOf(`{${name}:${value}}`)),
  fc
    .tuple(fc.constantFrom(...OTHER_KEYS), ids)
    .map(([name, list]) => bytesOf(`{"${name}":[${list}]}`)),
  fc.constantFrom('', '{}', '{ }', '\n{}\n', '{"data":{"processes":[12]}}', '{"":[12]}'),
  fc
    .constantFrom('__proto__', 'constructor', 'prototype', 'body')
    .map((name) => `{"${name}":{"processes":[12],"prototype":{"processes":[12]}}}`),
);

const tooManyIds = fc
  .tuple(
    fc.integer({ min: MAX_IDS + 1, max: MAX_IDS + 200 }),
    fc.bigInt({ min: 1n, max: 2n ** 62n }),
  )
  .map(([count, first]) => {
    const many = Array.from({ length: count }, (_, index) => first + BigInt(index));
    return `{"processes":[${many.join(',')}]}`;
  });

const repeatedKeys = fc
  .tuple(
    fc.array(key, { minLength: 2, maxLength: 3 }),
    ids,
    fc.option(fc.constantFrom('[12]', '[12,1]', 'null', '[]', '"12"', 'false')),
    space,
    fc.nat(2),
  )
  .map(([names, list, other, gap, odd]) => {
    const fields = names.map((name, index) => {
      const value = index === odd && other !== null ? other : `[${list}]`;
      return `${gap}${name}${gap}:${gap}${value}`;
    });
    return `{${fields.join(',')}}`;
  });

const PROTOTYPE_NAMES = words(`
  __proto__ constructor prototype toString valueOf hasOwnProperty toJSON then length __defineGetter__
`);

// Names that callers may confuse with those of the extensions.
const EXTENSION_NAMES = words('dryrun dryRun DRY_RUN dry-run expect Expected force wait reason');

const fieldName = fc
  .oneof(
    fc.constantFrom(...PROTOTYPE_NAMES, ...EXTENSION_NAMES, 'node_id', 'limit', ''),
    fc.string({ unit: 'binary', maxLength: 100 }),
    fc.string({ unit: 'grapheme' }),
  )
  .filter((name) => name !== 'processes' && name !== 'expected');

const fieldValue = fc.oneof(
  fc.constantFrom(...words('true false null [] {} 0 "" [12] 1e400 {"a":1,"a":2} "\\ud800"')),
  fc.constantFrom('[{"id":12,"host":"10.0.0.4:50001"}]', '[{"id":12,"user":"app"}]'),
  jsonText,
);

const unknownFields = fc
  .tuple(
    key,
    ids,
    fc.array(fc.tuple(fieldName, fieldValue), { minLength: 1, maxLength: 3 }),
    fc.nat(3),
  )
  .map(([name, list, unknown, place]) => {
    const fields = unknown.map(([field, value]) => `${JSON.stringify(field)}:${value}`);
    return bytesOf(`{${fields.toSpliced(place, 0, `${name}:[${list}]`).join(',')}}`);
  });

// @ stands for a valid body.
const SURROUNDINGS = [
  ...words('@, ,@ @; @] @} {@ [@ @null @@ @,@ @// @# [@] [@,@] (@) {@} callback(@) while(1);@'),
  ...phrases(`"@" | '@' | data=@ | /* */@ | @\n@ | @\n{} | // \n@ | # \n@ | )]}',\n@ | \x1e@\n`),
  ...words(
    '@\0 \0@ \f@ @\v \xc2\xa0@ @\xe2\x80\xa8 @\xef\xbb\xbf \xef\xbb\xbf\xef\xbb\xbf@ \xef\xbb@',
  ),
  ...phrases('\xfe\xff@ | \xff\xfe@ |  \xef\xbb\xbf@ | +/v8-@ | <?xml?>@ | --x\r\n\r\n@\r\n--x--'),
];

// Replacements that make a valid body malformed: from, to.
const REPLACEMENTS: readonly (readonly [string, string])[] = [
  ...words('[, [... [[ {[ [/**/ [// (  {').map((to) => ['[', to] as const),
  ...words(',] ,,] ]] }] ) }').map((to) => [']', to] as const),
  ...words(',} }} ]} ] )').map((to) => ['}', to] as const),
  ...words('{, {{ {/**/ [ (').map((to) => ['{', to] as const),
  ...words('= => :: , ; :: :,').map((to) => [':', to] as const),
  ...words("' ` “ \\\" ''").map((to) => ['"', bytesOf(to)] as const),
  ...words('; ,, :').map((to) => [',', to] as const),
  ...[...'[]{}:"'].map((from) => [from, ''] as const),
  ...phrases(
    'proc\nesses | proc\\x65sses | proc\\esses | proc\\u65sses | \\uprocesses | proc"esses',
  ).map((to) => ['processes', to] as const),
];

const ENCODINGS: readonly ((body: string) => string)[] = [
  (body) => JSON.stringify(body),
  (body) => bytesOf(body, 'utf16le'),
  (body) => `\xff\xfe${bytesOf(body, 'utf16le')}`,
  (body) => `\0${bytesOf(body, 'utf16le').slice(0, -1)}`,
  (body) => bytesOf(body, 'utf16le').replaceAll('\0', '\0\0\0'),
  (body) => Buffer.from(body).toString('base64'),
  (body) => Buffer.from(body).toString('hex'),
  (body) => encodeURIComponent(body),
  (body) => gzipSync(body).toString('latin1'),
  (body) => body.replace(/[^:]*:\s*/, 'processes='),
  (body) => body.replace(/[^[]*\[([^\]]*).*/s, 'processes:\n  - $1\n'),
  (body) => body.replace(/[^[]*\[([^\]]*).*/s, '<processes><id>$1</id></processes>'),
  (body) => body.replace(/[^[]*\[([^\]]*).*/s, '[$1]'),
  (body) => body.replace(/[^[]*\[([^\]]*).*/s, '$1'),
];

const OTHER_JSON = words(`
  { } [ ] " null true false 0 12 -0 "" "processes" [] [{}] [12] [[12]] undefined {"processes"
  {"processes": {"processes":[ {"processes":[12 {"processes":[12] {"processes":[12]]} 12e
`);

const noJsonObject = fc.oneof(
  fc
    .tuple(fc.constantFrom(...SURROUNDINGS), validBody)
    .map(([surrounding, body]) => surrounding.replaceAll('@', () => body)),
  fc
    .tuple(fc.constantFrom(...REPLACEMENTS), validBody)
    .map(([[from, to], body]) => body.replaceAll(from, () => to)),
  fc.tuple(fc.constantFrom(...ENCODINGS), validBody).map(([encode, body]) => encode(body)),
  fc.constantFrom(...OTHER_JSON),
  fc.constantFrom(' ', '\n', '\r\n\r\n', '\t', '\0', '\xef\xbb\xbf', '\xef\xbb'),
  jsonText.filter((text) => !text.startsWith('{')).map((text) => bytesOf(text)),
);

const BAD_UTF8 = [
  ...words('\x80 \xbf \xfe \xff \xc3 \xe2\x82 \xf0\x9f\x98 \xc3\x28 \xe2\x28\xa1'),
  // Overlong NUL, quotation mark, comma, 1 and bracket; then surrogates, and code points past U+10FFFF.
  ...words('\xc0\x80 \xc0\xa2 \xc0\xac \xc0\xb1 \xe0\x80\xb1 \xf0\x80\x80\xb1 \xc1\x9b'),
  ...words('\xed\xa0\x80 \xed\xbf\xbf \xed\xa0\xbd\xed\xb8\x80 \xf4\x90\x80\x80 \xf8\x88\x80'),
];

const badText = fc.oneof(
  fc
    .tuple(validBody, fc.constantFrom(...BAD_UTF8), fc.nat(), fc.nat(1))
    .map(([body, bytes, place, replaced]) => {
      const at = place % (body.length + 1);
      return body.slice(0, at) + bytes + body.slice(at + replaced);
    }),
  // Lone surrogates.
  fc
    .tuple(ids, fc.constantFrom(...words(String.raw`\ud800 \udfff \udc00\ud800 \uD83D`)), fc.nat(9))
    .map(([list, lone, place]) => {
      const name = 'processes'.slice(0, place) + lone + 'processes'.slice(place);
      return `{"${name}":[${list}]}`;
    }),
);

const depth = fc.oneof(fc.constantFrom(20_000, 100_000), fc.integer({ min: 100, max: 8000 }));

const BOMBS: readonly ((deep: number) => string)[] = [
  (deep) => '['.repeat(deep),
  (deep) => '{"a":'.repeat(deep),
  (deep) => '['.repeat(deep) + ']'.repeat(deep),
  (deep) => `${'{"a":'.repeat(deep / 3)}1${'}'.repeat(deep / 3)}`,
  (deep) => `${'[{"a":'.repeat(deep / 4)}1${'}]'.repeat(deep / 4)}`,
  (deep) => `{"processes":${'['.repeat(deep)}12${']'.repeat(deep)}}`,
  (deep) => `{"processes":[12],"a":${'['.repeat(deep)}${']'.repeat(deep)}}`,
  (deep) => `{"a":${'{"a":'.repeat(deep / 3)}1${'}'.repeat(deep / 3)},"processes":[12]}`,
  (deep) => `{"processes":[12],"processes":${'['.repeat(deep)}${']'.repeat(deep)}}`,
  (deep) => `{"processes":[12${',[12'.repeat(deep / 4)}${']'.repeat(deep / 4)}]}`,
  (deep) => `{"${'\\\\'.repeat(deep)}":[12]}`,
  (deep) => `{"processes":[12],"${'a'.repeat(deep)}":1}`,
  (deep) => `{"processes":[12${',12'.repeat(deep / 4)},-1]}`,
];

/** Valid bodies with a few bytes changed. Some are still valid. */
const mutatedBody = fc
  .tuple(validBody, fc.array(mutation, { minLength: 1, maxLength: 3 }))
  .map(([body, mutations]) => mutations.reduce(mutate, body));

export const badBodies = {
  wrongIds: kill(wrongIds.filter(isMalformed)),
  wrongProcesses: kill(wrongProcesses.filter(isMalformed)),
  tooManyIds: kill(tooManyIds.filter(isMalformed)),
  repeatedKeys: kill(repeatedKeys),
  unknownFields: kill(unknownFields),
  noJsonObject: kill(noJsonObject.filter(isMalformed)),
  badText: kill(badText),
  bombs: kill(fc.tuple(fc.constantFrom(...BOMBS), depth).map(([bomb, deep]) => bomb(deep))),
  mutated: kill(mutatedBody.filter(isMalformed)),
  tooLarge: kill(
    fc
      .tuple(validBody, fc.integer({ min: 1, max: 1000 }))
      .map(([body, excess]) => body.padEnd(MAX_BODY_BYTES + excess)),
  ),
};

/** A valid body, cut at every place. */
export const CUT_BODIES: readonly string[] = [
  '{"processes":[12]}',
  '{ "processes" : [ 1, 12, 9007199254740993 ] }',
  String.raw`{"proc\u0065sses":[9223372036854775807]}`,
].flatMap((body) => [...body].map((_, end) => body.slice(0, end)));

/** Valid requests, some of them with a change in the body that keeps it valid. */
export const validKills = kill(
  fc.oneof(
    validBody,
    mutatedBody.filter((body) => !isMalformed(body)),
  ),
);

// 2. Headers.

const OTHER_TYPES = [
  ...words(`
    json text/json text/plain application application/ /json */* application/* application/json5
    application/jsonp application/json-patch+json application/problem+json application/x-json text/html
    application/vnd.api+json application/json,text/plain application\\json application%2Fjson json/*
    "application/json" application/x-www-form-urlencoded multipart/form-data;boundary=x charset=utf-8
    text/plain;application/json ;application/json applicationjson application/jsonapplication/json
  `),
  ...[
    '',
    'application/ json',
    'application /json',
    'application/json text',
    bytesOf('application/jsоn'),
  ],
];

const wrongType = fc
  .oneof(fc.constantFrom(...OTHER_TYPES), headerText, oneBitOff('application/json'))
  .filter((type) => isHeaderText(type) && !/^[ \t]*application\/json[ \t]*(;|$)/i.test(type));

const OTHER_CHARSETS = words(`
  utf-16 utf-16le utf-16be utf-32 utf-7 latin1 iso-8859-1 us-ascii ascii gbk gb18030 big5 windows-1252
  base64 hex binary utf-88 utf-8x xutf-8 utf_8 * null utf-8,utf-16 utf-8' __proto__ toString
`);

const wrongCharset = fc
  .tuple(fc.constantFrom(...OTHER_CHARSETS), textOf(' \t', { maxLength: 2 }), fc.boolean())
  .map(([charset, gap, isQuoted]) => {
    const value = isQuoted ? `"${charset}"` : charset;
    return `application/json${gap};${gap}charset=${value}`;
  });

const CODINGS: readonly (readonly [string, (body: string) => Buffer])[] = [
  ['gzip', gzipSync],
  ['x-gzip', gzipSync],
  ['GZIP', gzipSync],
  ['deflate', deflateSync],
  ['br', brotliCompressSync],
];

const compressed = fc
  .tuple(validBody, fc.constantFrom(...CODINGS))
  .map(([body, [coding, compress]]) => ({
    body: compress(body).toString('latin1'),
    headers: { 'Content-Encoding': coding },
  }));

const bogusCoding = fc
  .oneof(
    fc.constantFrom('gzip', 'br', 'deflate', 'zstd', 'compress', 'chunked', 'utf-8', '*', 'none'),
    fc.constantFrom('gzip, gzip', 'identity, gzip', 'gzip, identity', 'identity;q=1', 'identit'),
    headerText,
  )
  .filter((text) => !['', 'identity'].includes(text.trim().toLowerCase()))
  .map((coding) => ({ headers: { 'Content-Encoding': coding } }));

const nearMissToken = fc
  .oneof(
    oneBitOff(TOKEN),
    fc.nat(TOKEN.length - 1).map((end) => TOKEN.slice(0, end)),
    fc.integer({ min: 1, max: TOKEN.length }).map((start) => TOKEN.slice(start)),
    fc.tuple(headerText, headerText).map((surrounding) => surrounding.join(TOKEN)),
    fc.constantFrom(TOKEN + TOKEN, TOKEN.toLowerCase(), TOKEN.toUpperCase(), `Bearer ${TOKEN}`),
    fc.constantFrom('', `"${TOKEN}"`, `${TOKEN}%00`, `${TOKEN},`, 'null', 'undefined', '*'),
    fc.integer({ min: 100, max: 60_000 }).map((length) => 'M'.repeat(length)),
    headerText,
  )
  .filter((token) => isHeaderText(token) && token.trim() !== TOKEN);

const repeatedToken = fc
  .constantFrom([TOKEN, TOKEN], [TOKEN, ''], ['', TOKEN], [TOKEN, OTHER_TOKEN])
  .map((tokens) => [...tokens]);

const badToken = fc
  .oneof({ weight: 6, arbitrary: nearMissToken }, { weight: 1, arbitrary: repeatedToken })
  .map((token) => ({ headers: { 'X-Auth-Token': token } }));

// A signature is valid for 15 minutes before and after its date, unless the date precedes the start of the service.
const SOON = new Date(Date.now() + 60_000).toISOString().replace(/[-:]|\.\d+/g, '');

const tokenElsewhere = fc
  .tuple(
    kill(validBody),
    fc.constantFrom('Authorization', 'X-Auth-Token2', 'X_Auth_Token', 'Cookie', 'X-Subject-Token'),
  )
  .map(([request, name]) => ({
    ...request,
    headers: { ...without(request.headers, 'X-Auth-Token'), [name]: TOKEN },
  }));

/** Invalid signatures, alone or beside a valid token. In some, only the signature is wrong; in others, more is. */
const badSignature = fc
  .record({
    scheme: mostly('SDK-HMAC-SHA256 Access', 'V11-HMAC-SHA256 Credential', 'SDK-HMAC-SHA1 Access'),
    access: mostly(ACCESS_KEY, `${ACCESS_KEY}/20260101/cn/gaussdb`, 'AKUNKNOWN', '', '__proto__'),
    signed: mostly('host;x-sdk-date', 'x-sdk-date', 'X-Sdk-Date', ';;', 'host', '__proto__', ''),
    signature: fc.oneof(
      { weight: 4, arbitrary: textOf('0123456789abcdef', { minLength: 64, maxLength: 64 }) },
      { weight: 1, arbitrary: headerText },
    ),
    comma: mostly(', ', ',', ' ', ';', ''),
    date: mostly(SOON, '20200101T000000Z', '99999999T999999Z', '20261340T256161Z', '', 'now'),
    hasToken: fc.boolean(),
  })
  .map(({ scheme, access, signed, signature, comma, date, hasToken }) => ({
    headers: {
      Authorization: [
        `${scheme}=${access}`,
        `SignedHeaders=${signed}`,
        `Signature=${signature}`,
      ].join(comma),
      'X-Sdk-Date': date,
      // With an unknown scheme, the token alone would decide.
      'X-Auth-Token': hasToken && scheme.endsWith('SHA256 Access') ? TOKEN : '',
    },
  }));

/** Returns the first in three of four cases, else one of the others. */
function mostly(usual: string, ...others: readonly string[]): Arbitrary<string> {
  return fc.oneof(
    { weight: 3, arbitrary: fc.constant(usual) },
    { weight: 1, arbitrary: fc.constantFrom(...others) },
  );
}

const nonsenseMethod = fc
  .oneof(
    fc.constantFrom('DELET', 'DELETED', 'DELETE;', '"DELETE"', 'DELETE DELETE', '*', '%44ELETE'),
    fc.constantFrom('GET', 'HEAD', 'PUT', 'PATCH', 'OPTIONS', 'TRACE', 'CONNECT', 'get', ''),
    oneBitOff('DELETE').filter(isHeaderText),
    headerText,
  )
  .filter((text) => !['DELETE', 'POST'].includes(text.trim().toUpperCase()));

const badOverride = fc.oneof(
  fc.tuple(fc.constantFrom('POST', 'DELETE'), nonsenseMethod),
  fc.tuple(fc.constantFrom('GET', 'HEAD', 'PUT', 'PATCH', 'OPTIONS'), fc.constant('DELETE')),
  fc.tuple(fc.constantFrom('POST', 'DELETE'), fc.constant(null)),
);

export const badHeaders = {
  contentType: fc.oneof(
    kill(
      validBody,
      fc.oneof(wrongType, wrongCharset).map((type) => ({ headers: { 'Content-Type': type } })),
    ),
    kill(validBody).map(({ headers, ...request }) => ({
      ...request,
      headers: without(headers, 'Content-Type'),
    })),
  ),
  contentEncoding: kill(validBody, fc.oneof(compressed, bogusCoding)),
  token: fc.oneof(kill(validBody, badToken), read(badToken), tokenElsewhere),
  signature: fc.oneof(kill(validBody, badSignature), read(badSignature)),
  permission: kill(validBody, fc.constant({ headers: { 'X-Auth-Token': LISTING_TOKEN } })),
  idempotencyKey: kill(
    validBody,
    fc
      .oneof(textOf(VISIBLE, { minLength: 65, maxLength: 99 }), fc.constant('a b'), headerText)
      .filter((text) => !/^[\x21-\x7e]{1,64}$/.test(text.trim()))
      .map((text) => ({ headers: { 'Idempotency-Key': text } })),
  ),
  override: kill(
    validBody,
    badOverride.map(([method, override]) => ({
      method,
      headers: { 'X-HTTP-Method-Override': override ?? ['DELETE', 'DELETE'] },
    })),
  ),
  oversized: kill(
    validBody,
    fc
      .tuple(fc.constantFrom('X-Auth-Token', 'X-Language', 'X-Filler', 'Cookie'), fc.nat(5000))
      .map(([name, excess]) => ({ headers: { [name]: 'x'.repeat(MAX_HEADER_BYTES + excess) } })),
  ),
};

// 3. Paths.

const NOT_IN_AN_ID = words(String.raw`
  - _ . ~ ! $ & ' ( ) * + , ; = : @ | ^ %00 %09 %0a %0d %20 %22 %23 %25 %2e %2f %2F %3b %3f %5c %7f %c3%a9
  %ef%bc%91 %d9%a1 %e2%80%8b %f0%9f%98%80 %2500 ${'`'} \ { } [ ] < > "
`);

/** Ids with a wrong length, one wrong character or a wrong end. */
function malformedId(valid: string, end: string): Arbitrary<string> {
  const start = valid.slice(0, valid.length - end.length);
  const wrong = fc.constantFrom(...NOT_IN_AN_ID);
  return fc.oneof(
    fc
      .integer({ min: 1, max: 80 })
      .filter((length) => length !== start.length)
      .map((length) => start.repeat(3).slice(0, length) + end),
    fc
      .tuple(fc.nat(start.length - 1), wrong)
      .map(([at, character]) => start.slice(0, at) + character + start.slice(at + 1) + end),
    wrong.map((character) => character + valid),
    wrong.map((character) => valid + character),
    fc
      .constantFrom(...words('in07 no07 IN07 NO07 in08 no7 on07 ni07 07 in0 07in 07no x'))
      .filter((other) => other !== end)
      .map((other) => start + other),
  );
}

/** Other ids of the same form, many of which differ in one character. */
function otherId(valid: string, end: string): Arbitrary<string> {
  const start = valid.slice(0, valid.length - end.length);
  return fc
    .oneof(
      textOf(LETTERS_AND_DIGITS, { minLength: 32, maxLength: 32 }),
      fc.constant(start.toUpperCase()),
      fc
        .tuple(fc.nat(31), fc.constantFrom(...LETTERS_AND_DIGITS))
        .map(([at, character]) => start.slice(0, at) + character + start.slice(at + 1)),
    )
    .map((other) => other + end)
    .filter((other) => other !== valid);
}

const ID_NAMES = ['projectId', 'instanceId', 'nodeId'] as const;

const badEscape = fc
  .tuple(
    fc.constantFrom(...ID_NAMES),
    fc.constantFrom(...words('% %2 %zz %u0031 %ff %c0%b1 %ed%a0%80 %e2%82 %80 %%')),
    fc.nat(),
  )
  .map(([name, escape, place]) => {
    const at = place % (nodeKey[name].length + 1);
    const value = nodeKey[name].slice(0, at) + escape + nodeKey[name].slice(at);
    return processesPath({ ...nodeKey, [name]: value });
  })
  .filter((path) => !isDecodable(path));

function isDecodable(path: string): boolean {
  try {
    decodeURIComponent(path);
    return true;
  } catch {
    return false;
  }
}

const SEGMENTS = processesPath().slice(1).split('/');

/** The call for one session takes any last segment. */
const ONE_SESSION = /^\/v3(?:\/[^/]+){6}\/[^/]+$/;

/** Paths that differ from the valid one outside the ids. */
const otherPath = fc
  .oneof(
    fc
      .mixedCase(fc.constantFrom('v3', 'instances', 'nodes', 'processes'))
      .map((literal) => SEGMENTS.map((own) => (own === literal.toLowerCase() ? literal : own))),
    fc
      .tuple(fc.nat(SEGMENTS.length), fc.constantFrom('', ...words('. .. %2e %2e%2e * x %20 ;')))
      .map(([at, extra]) => SEGMENTS.toSpliced(at, 0, extra)),
    fc.nat(SEGMENTS.length - 1).map((at) => SEGMENTS.toSpliced(at, 1)),
    fc
      .tuple(
        fc.nat(SEGMENTS.length - 1),
        fc.constantFrom('', ...words('. .. v1 v3.0 mysql process')),
      )
      .map(([at, other]) => SEGMENTS.with(at, other)),
    fc
      .constantFrom(...words(';a=b %00 %20 . / // /. /12 %2f , = .json %3fdry_run=true %3f'))
      .map((suffix) => SEGMENTS.with(-1, `processes${suffix}`)),
    fc.webSegment().map((segment) => ['v3', nodeKey.projectId, segment]),
    fc.array(fc.webSegment(), { maxLength: 9 }).map((others) => ['x', ...others]),
  )
  .map((segments) => `/${segments.join('/')}`)
  .filter((path) => path !== processesPath() && !ONE_SESSION.test(path));

const tooLongUri = fc
  .tuple(fc.constantFrom(...ID_NAMES, '?a=', '?'), fc.nat(1000))
  .map(([place, excess]) => {
    const filler = (place === '?' ? '&' : 'a').repeat(MAX_URI_LENGTH + excess);
    if (place.startsWith('?')) return processesPath() + place + filler;
    return processesPath({ ...nodeKey, [place]: filler });
  });

function onPath(path: Arbitrary<string>): Arbitrary<HttpRequest> {
  const changes = path.map((changed) => ({ path: changed }));
  return fc.oneof(kill(validBody, changes), read(changes));
}

/** The valid path with other ids. */
function withIds(key: Arbitrary<Partial<typeof nodeKey>>): Arbitrary<HttpRequest> {
  return onPath(key.map((changed) => processesPath({ ...nodeKey, ...changed })));
}

const { projectId: PROJECT, instanceId: INSTANCE, nodeId: NODE } = nodeKey;

export const badPaths = {
  projectId: withIds(malformedId(PROJECT, '').map((projectId) => ({ projectId }))),
  instanceOrNodeId: withIds(
    fc.oneof(
      malformedId(INSTANCE, 'in07').map((instanceId) => ({ instanceId })),
      malformedId(NODE, 'no07').map((nodeId) => ({ nodeId })),
    ),
  ),
  escape: onPath(badEscape),
  other: onPath(otherPath),
  tooLong: onPath(tooLongUri),
  otherProject: fc.oneof(
    withIds(otherId(PROJECT, '').map((projectId) => ({ projectId }))),
    kill(validBody, fc.constant({ headers: { 'X-Auth-Token': OTHER_TOKEN } })),
  ),
  unknownInstance: withIds(otherId(INSTANCE, 'in07').map((instanceId) => ({ instanceId }))),
  unknownNode: withIds(
    fc.oneof(
      otherId(NODE, 'no07').map((nodeId) => ({ nodeId })),
      fc.constantFrom({ nodeId: OTHER_NODE.nodeId }, { instanceId: OTHER_NODE.instanceId }),
    ),
  ),
};

// 4. Queries.

const queryText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 20 }).map(encodeURIComponent),
  textOf("abcXYZ019-._~!$'()*,:@/?[]|%+;", { maxLength: 20 }),
);

const parameterName = fc.oneof(
  fc.constantFrom(...EXTENSION_NAMES, ...PROTOTYPE_NAMES),
  fc.constantFrom('', ...words('limit offset Limit limit[] limit.x processes _method %')),
  queryText,
);

const parameter = fc.oneof(
  fc.tuple(parameterName, fc.constantFrom('true', 'false', '1', '')).map((pair) => pair.join('=')),
  fc.tuple(parameterName, queryText).map((pair) => pair.join('=')),
  parameterName.filter((name) => name !== ''),
);

const FILLERS = ['&', 'a&', 'a=1&', 'a=1&a=2&'];

/** Query parameters, none of which DELETE accepts. */
const deleteQuery = fc.oneof(
  fc.array(parameter, { minLength: 1, maxLength: 4 }).map((parameters) => parameters.join('&')),
  fc
    .tuple(fc.constantFrom(...FILLERS), fc.integer({ min: 1, max: 1500 }), parameter)
    .map(([filler, count, last]) => filler.repeat(count).slice(0, 6000) + `&${last}`),
);

const NO_INTEGERS = words(String.raw`
  -1 +1 %2B1 -0 1.0 1. .5 1e1 1E1 0x1 0b1 0o1 01 00 %201 1%20 1+ 1%00 %001 1%0a 1,2 1;2 [1] "1" '1' 1_0 1n
  NaN Infinity -Infinity null undefined true abc % %zz %d9%a1 %ef%bc%91 %c2%a01 1%2e0 --1 1-1 * $1 1/1 %ff
  {} 1%23 2**6 5=5 %3d1 1?
`);

const noInteger = fc.oneof(
  fc.constantFrom('', ...NO_INTEGERS),
  fc.bigInt({ min: -(2n ** 70n), max: -1n }).map(String),
  fc.double({ noInteger: true, noNaN: true }).map((n) => encodeURIComponent(n)),
);

const wrongLimit = fc
  .oneof(
    noInteger,
    fc.constantFrom('0', '101', '1000', '4294967297', '18446744073709551617', '9'.repeat(400)),
    fc.integer({ min: 101 }).map(String),
  )
  .map((value) => `limit=${value}`);

const wrongPage = fc.oneof(
  wrongLimit,
  noInteger.map((value) => `offset=${value}`),
  // The same parameter twice. The first one can be escaped.
  fc
    .tuple(
      fc.constantFrom('limit', 'offset', 'lim%69t', '%6fffset'),
      fc.integer({ min: 1, max: 99 }),
    )
    .map(([name, value]) => `${name}=${value}&${decodeURIComponent(name)}=${value}`),
  fc
    .tuple(fc.constantFrom(...FILLERS), wrongLimit)
    .map(([filler, last]) => filler.repeat(750) + last),
  parameter.filter((text) => !/^(limit|offset)(=|$)/.test(decodedOrRaw(text))),
);

function decodedOrRaw(text: string): string {
  return isDecodable(text) ? decodeURIComponent(text) : text;
}

const getQuery = fc
  .tuple(fc.constantFrom('', '&', '&&&', 'limit=7&', 'offset=1&', 'limit=100&offset=0&'), wrongPage)
  .map((parts) => parts.join(''));

const withQuery = (query: string): Partial<HttpRequest> => ({
  path: `${processesPath()}?${query}`,
});

export const badQueries = {
  ofDelete: kill(validBody, deleteQuery.map(withQuery)),
  ofGet: read(getQuery.map(withQuery)),
};

// 5. Methods.

// Without CONNECT: the client would read no body of its answer.
const OTHER_METHODS = METHODS.filter((name) => !words('GET HEAD DELETE CONNECT').includes(name));

export const badMethods = {
  known: fc
    .tuple(kill(validBody), fc.constantFrom(...OTHER_METHODS), fc.boolean())
    .map(([{ path, headers, body = '' }, method, hasBody]) => ({
      method,
      path,
      headers: without(headers, 'X-HTTP-Method-Override'),
      ...(hasBody && { body }),
    })),
  unknown: kill(
    validBody,
    textOf("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~", { minLength: 1, maxLength: 20 })
      .filter((method) => !METHODS.includes(method))
      .map((method) => ({ method })),
  ),
};

// 6. Raw bytes that no HTTP client sends.

const PATH = processesPath();
const BODY = '{"processes":[12]}';
export const CHUNKED_BODY = `12\r\n${BODY}\r\n0\r\n\r\n`;

/** The parts of a raw request. A part that is not given is valid. */
export interface RawParts {
  readonly line?: string;
  readonly headers?: readonly string[];
  readonly framing?: readonly string[];
  readonly body?: string;
}

/** Returns the bytes of a DELETE that kills, unless one of the parts is malformed. */
export function rawKill({
  line = `DELETE ${PATH} HTTP/1.1`,
  headers = ['Host: localhost'],
  body = BODY,
  framing = [`Content-Length: ${body.length}`],
}: RawParts = {}): RawRequest {
  const valid = [`X-Auth-Token: ${TOKEN}`, 'Content-Type: application/json'];
  return { bytes: `${[line, ...headers, ...valid, ...framing].join('\r\n')}\r\n\r\n${body}` };
}

/** Returns the bytes of a DELETE with a chunked body. */
export function rawChunkedKill(chunks = CHUNKED_BODY): RawRequest {
  return rawKill({ framing: ['Transfer-Encoding: chunked'], body: chunks });
}

const BAD_LINES = [
  ...words(
    'HTTP/1.2 HTTP/3.0 HTTP/11 HTTP/ HTTP/1 HTTP/1, HTTP/-1.1 http/1.1 HTP/1.1 HTTPS/1.1',
  ).map((version) => `DELETE ${PATH} ${version}`),
  ...words('RTSP/1.0 ICE/1.0 SIP/2.0 HTTP/1.1x HTTP/1.1/ HTTP\\1.1').map(
    (version) => `DELETE ${PATH} ${version}`,
  ),
  ...['\0', '\x7f', '\xc3\xa9', '\xff', '\t', '\x01'].map((end) => `DELETE ${PATH}${end} HTTP/1.1`),
  ...['delete', 'Delete', 'DELETE\t', ' DELETE', 'DELETE\0', 'DELETE:', '{', '\x16\x03\x01'].map(
    (method) => `${method} ${PATH} HTTP/1.1`,
  ),
  ...['*', '?', '\\', '', PATH.slice(1), PATH.replaceAll('/', '\\')].map(
    (target) => `DELETE ${target} HTTP/1.1`,
  ),
  ...['', 'DELETE', 'DELETE ', PATH, `DELETE${PATH} HTTP/1.1`, `DELETE\t${PATH}\tHTTP/1.1`],
  ...[' ', ' x', '\r', '\rX: y', '\nX: y'].map((end) => `DELETE ${PATH} HTTP/1.1${end}`),
  ...['GET /', 'OPTIONS * HTTP/1.1', `GET ${PATH}\r`, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04'],
];

const BAD_HEADERS = [
  ...phrases(
    'Host : a | Ho st: a | Host | : a | Host\0: a | H\xf6st: a | Host: a\r\n b | Host: a\r\n\tb',
  ),
  ...phrases(
    ' Host: a | \tHost: a | "Host": a | Host: a\0b | Host: a\x01b | Host: a\x7fb | Host: a\rb',
  ),
  ...phrases(
    'Host: \x1b[31m | Host@: a | Host= a | Host: a\nX: y | Host: a\rX: y | Host: a\n\nX: y',
  ),
  ...phrases('X\nHost: a | (X): y | Host\t: a | Host: a\r\n: y | Host: a\r\nX | Host: a\r\n\rX: y'),
];

const BAD_CHUNKS = [
  ...['', ' ', ...phrases('x | -12 | +12 | 0x12 | 12x | 1 2 | 1.2 | g | \0 | 12\0 | 12;\0')].map(
    (size) => `${size}\r\n${BODY}\r\n0\r\n\r\n`,
  ),
  ...words('11 13 1 ff ffffffff 0013 fffffffffffffffff').map(
    (size) => `${size}\r\n${BODY}\r\n0\r\n\r\n`,
  ),
  ...['x\r\n\r\n', '-1\r\n\r\n', '0\r\nX : y\r\n\r\n', '0\r\nX\r\n\r\n', '', '0', '0\r\n'].map(
    (end) => `12\r\n${BODY}\r\n${end}`,
  ),
  ...[`12\n${BODY}\n0\n\n`, `12\r${BODY}\r0\r\r`, `12\r\n${BODY}0\r\n\r\n`, BODY, '', '0\r\n\r\n'],
];

const BAD_LENGTHS = [
  ...['', ...phrases('+18 | -18 | 18x | 0x12 | 1e1 | 18.0 | 18, 18 | 18,17 | 1 8 | \xb9')],
  ...['18\r\nContent-Length: 18', '18\r\nContent-Length: 17', '18\r\nTransfer-Encoding: chunked'],
  ...words('19 20 1000 262144 262145 9007199254740993 999999999999999999999999'),
].map((length) => rawKill({ framing: [`Content-Length: ${length}`] }));

const BAD_CODINGS = [
  ...phrases(
    'identity | gzip | xchunked | chunked, gzip | chunked, identity | chunked;a=b | "chunked"',
  ),
  ...['', 'chunked\r\nTransfer-Encoding: chunked', 'chunked\r\nContent-Length: 18'],
].map((coding) => rawKill({ framing: [`Transfer-Encoding: ${coding}`], body: CHUNKED_BODY }));

export const rawRequests = {
  line: fc.constantFrom(...BAD_LINES).map((line) => rawKill({ line })),
  header: fc.constantFrom(...BAD_HEADERS).map((header) => rawKill({ headers: [header] })),
  framing: fc.constantFrom(...BAD_CHUNKS.map(rawChunkedKill), ...BAD_LENGTHS, ...BAD_CODINGS),
  /** Requests whose Content-Length ends before the JSON. The rest is not a request. */
  tooShort: fc
    .nat(BODY.length - 1)
    .map((length) => rawKill({ framing: [`Content-Length: ${length}`] })),
  hugeHeader: fc
    .tuple(fc.constantFrom('X: ', ''), fc.nat(20_000))
    .map(([name, excess]) => name + 'x'.repeat(MAX_HEADER_BYTES + excess))
    .map((header) => rawKill({ headers: ['Host: localhost', header] })),
  controlCharacter: fc
    .tuple(
      fc.nat(rawKill().bytes.length - BODY.length - 5),
      fc.constantFrom(...'\0\x01\x02\x03\x04\x05\x06\x07\b\v\f\x0e\x0f\x10\x1b\x1f\x7f'),
    )
    .map(([at, character]) => {
      const { bytes } = rawKill();
      return { bytes: bytes.slice(0, at) + character + bytes.slice(at) };
    }),
  cut: fc
    .tuple(fc.constantFrom(rawKill(), rawChunkedKill()), fc.nat())
    .map(([{ bytes }, end]) => ({ bytes: bytes.slice(0, end % bytes.length) })),
  /** Arbitrary bytes, without a token. */
  noise: fc
    .oneof(
      fc
        .tuple(
          fc.constantFrom(rawKill(), rawChunkedKill()),
          fc.array(mutation, { minLength: 1, maxLength: 5 }),
        )
        .map(([{ bytes }, mutations]) => mutations.reduce(mutate, bytes.replace(TOKEN, 'no'))),
      fc.array(anyByte(), { minLength: 1, maxLength: 300 }).map((bytes) => bytes.join('')),
      fc.constantFrom(
        '\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03',
        '*1\r\n$4\r\nPING\r\n',
        'SSH-2.0-x\r\n',
      ),
      fc.constantFrom('\x0a5.7.0\0', BODY, 'HTTP/1.1 200 OK\r\n\r\n', '\r\n\r\n\r\n', 'KILL 12\n'),
    )
    .map((bytes) => ({ bytes })),
};
