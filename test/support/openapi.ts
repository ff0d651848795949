import { readFileSync } from 'node:fs';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { parse as parseYaml } from 'yaml';

interface Schema {
  readonly [key: string]: unknown;
}

export interface Parameter {
  readonly $ref?: string;
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly schema: Schema;
  readonly example?: unknown;
}

interface Content {
  readonly schema: Schema;
}

interface Answer {
  readonly headers?: Readonly<Record<string, { readonly required?: boolean }>>;
  readonly content?: Readonly<Record<string, Content>>;
}

export interface Operation {
  readonly security?: readonly unknown[];
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content: Readonly<Record<string, Content>> };
  readonly responses: Readonly<Record<string, Answer>>;
}

type PathItem = Readonly<Record<string, Operation>> & { readonly parameters?: Parameter[] };

export interface OpenApi {
  readonly paths: Readonly<Record<string, PathItem>>;
  readonly components: { readonly schemas: Readonly<Record<string, Schema>> };
}

/** The content of docs/openapi.yaml, with all references resolved except those to schemas. */
export const openapi = resolve(parseYaml(readFileSync('docs/openapi.yaml', 'utf8'))) as OpenApi;

/** The answers that do not match the document, and the accepted requests that do not match it. */
export const departures: string[] = [];

const ajv = new Ajv2020({ strict: false, formats: { int32: true, int64: true } });
ajv.addSchema({ $id: 'openapi', components: openapi.components });
const compiled = new WeakMap<Schema, ValidateFunction>();

/** Returns why a value does not match a schema, or undefined if it matches. */
export function mismatch(schema: Schema, value: unknown): string | undefined {
  let validate = compiled.get(schema);
  if (validate === undefined) {
    validate = ajv.compile(withIds(schema) as Schema);
    compiled.set(schema, validate);
  }
  return validate(value) ? undefined : ajv.errorsText(validate.errors);
}

/** Returns the same app, but records mismatches with the document in `departures`. */
export function watched<A extends RequestListener>(app: A): A {
  const listener: RequestListener = (req, res) => {
    const [sent, answered] = [gather(req, 'push'), gather(res, 'write')];
    const end = res.end.bind(res) as (...given: unknown[]) => ServerResponse;
    res.end = ((...given: unknown[]) => {
      if (typeof given[0] === 'string' || Buffer.isBuffer(given[0])) answered.push(given[0]);
      return end(...given);
    }) as typeof res.end;
    // Headers that are given only to writeHead cannot be read afterwards.
    const writeHead = res.writeHead.bind(res);
    res.writeHead = ((status: number, headers: Record<string, string | number> = {}) => {
      for (const [name, value] of Object.entries(headers)) res.setHeader(name, value);
      return writeHead(status);
    }) as typeof res.writeHead;
    const { method = '', url = '' } = req;
    res.once('finish', () => {
      const wrong = departure({ method, url, req, sent, res, answered });
      if (wrong !== undefined) {
        departures.push(`${method} ${url.slice(0, 200)}: ${res.statusCode}: ${wrong}`);
      }
    });
    app(req, res);
  };
  return Object.assign(listener, app);
}

interface Exchange {
  readonly method: string;
  readonly url: string;
  readonly req: IncomingMessage;
  readonly sent: readonly (string | Buffer)[];
  readonly res: ServerResponse;
  readonly answered: readonly (string | Buffer)[];
}

function departure({ method, url, req, sent, res, answered }: Exchange): string | undefined {
  const [path = '', query = ''] = url.replace(/^https?:\/\/[^/]*/i, '').split(/\?(.*)/s, 2);
  const body = text(answered);
  const item = Object.entries(openapi.paths).find(([template]) => matches(template, path))?.[1];
  if (item === undefined) {
    // The start page, and the files of the two pages, are not in the document.
    if (/^\/((console|docs)\/|$)/.test(path) && res.statusCode === 200) return undefined;
    return res.statusCode < 400 ? 'a path that is not in the document' : gatewayError(method, body);
  }
  const operation = item[method.toLowerCase()];
  if (operation === undefined) {
    return res.statusCode < 400 ? 'a method that is not there' : gatewayError(method, body);
  }
  const answer = operation.responses[String(res.statusCode)];
  if (answer === undefined) {
    // POST is a DELETE only with X-HTTP-Method-Override, so without this header it has no entry for 405.
    if (method === 'POST' && res.statusCode === 405) return gatewayError(method, body);
    return 'the status is not there';
  }
  return (
    wrongHeaders(answer, res) ??
    wrongBody(answer, res, body) ??
    (res.statusCode === 200
      ? wrongRequest(operation, item.parameters ?? [], req, query, text(sent))
      : undefined)
  );
}

function wrongHeaders({ headers = {} }: Answer, res: ServerResponse): string | undefined {
  for (const [name, { required }] of Object.entries(headers)) {
    if (required && !res.hasHeader(name)) return `without ${name}`;
  }
  return undefined;
}

function wrongBody({ content }: Answer, res: ServerResponse, body: string): string | undefined {
  if (content === undefined) return undefined;
  const [type = ''] = String(res.getHeader('Content-Type')).split(';', 1);
  const schema = content[type]?.schema;
  if (schema === undefined) return `the type ${type} is not there`;
  if (type !== 'application/json') return mismatch(schema, body);
  const value = JSON.parse(body) as Schema;
  return mismatch(schema, value) ?? wrongError(value);
}

/** Checks error bodies for rules that a schema could express only with `oneOf`, which client generators do not support. */
function wrongError(body: Schema): string | undefined {
  const code = body['error_code'];
  if (typeof code !== 'string') return undefined;
  if (code.startsWith('APIGW.') !== 'request_id' in body) return `request_id with ${code}`;
  const arrays = ['killed', 'not_found', 'failed', 'unknown'].filter(
    (name) => `processes_${name}` in body,
  );
  return arrays.length % 4 === 0 ? undefined : `only the arrays ${arrays.join(', ')}`;
}

/** Returns why an accepted request does not match the document, or undefined. */
function wrongRequest(
  { parameters = [], requestBody }: Operation,
  shared: readonly Parameter[],
  req: IncomingMessage,
  query: string,
  body: string,
): string | undefined {
  const known = [...shared, ...parameters];
  for (const [name, value] of new URLSearchParams(query)) {
    const parameter = known.find((one) => one.in === 'query' && one.name === name);
    if (parameter === undefined) return `the query parameter ${name} is not there`;
    const isInteger = parameter.schema['type'] === 'integer';
    const wrong = mismatch(parameter.schema, isInteger ? Number(value) : value);
    if (wrong !== undefined) return `${name}: ${wrong}`;
  }
  for (const { name, schema } of known.filter(
    (one) => one.in === 'header' && one.name !== 'X-Language',
  )) {
    const value = req.headers[name.toLowerCase()];
    if (value === undefined) continue;
    const wrong = mismatch(schema, Buffer.from(String(value), 'latin1').toString('utf8'));
    if (wrong !== undefined) return `${name}: ${wrong}`;
  }
  const schema = requestBody?.content['application/json']?.schema;
  return schema && mismatch(schema, JSON.parse(body));
}

function gatewayError(method: string, body: string): string | undefined {
  const schema = openapi.components.schemas['GatewayError'] ?? {};
  return method === 'HEAD' ? undefined : mismatch(schema, JSON.parse(body));
}

function matches(template: string, path: string): boolean {
  const pattern = template.replaceAll('.', '\\.').replaceAll(/\{\w+\}/g, '[^/]+');
  return new RegExp(`^${pattern}$`).test(path);
}

/** Collects the chunks that are passed to this method of the stream. */
function gather(stream: object, method: string): (string | Buffer)[] {
  const chunks: (string | Buffer)[] = [];
  const methods = stream as Record<string, (...given: unknown[]) => unknown>;
  const original = methods[method]?.bind(stream);
  methods[method] = (...given: unknown[]) => {
    if (typeof given[0] === 'string' || Buffer.isBuffer(given[0])) chunks.push(given[0]);
    return original?.(...given);
  };
  return chunks;
}

function text(chunks: readonly (string | Buffer)[]): string {
  return Buffer.concat(chunks.map((chunk) => Buffer.from(chunk))).toString('utf8');
}

function withIds(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value).replaceAll('"#/components/', '"openapi#/components/'));
}

/** Replaces each reference by its target, except references to schemas, which the validator resolves. */
function resolve(document: unknown): unknown {
  const at = (reference: string): unknown =>
    reference
      .slice(2)
      .split('/')
      .reduce<unknown>((value, key) => (value as Record<string, unknown>)[key], document);
  const walk = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(walk);
    if (typeof value !== 'object' || value === null) return value;
    const { $ref } = value as { $ref?: string };
    if ($ref !== undefined && !$ref.startsWith('#/components/schemas/')) return walk(at($ref));
    return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, walk(part)]));
  };
  return walk(document);
}
