import assert from 'node:assert/strict';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { OperationalError } from '../base/errors.ts';
import { fetchHttp } from './fetch_http.ts';

const never = new AbortController().signal;

const serve = async (listener: RequestListener, run: (url: string, server: Server) => Promise<void>) => {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    await run(`http://127.0.0.1:${(server.address() as AddressInfo).port}`, server);
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
};

const get = (url: string, maxBytes = 1000, timeoutMs = 20_000, signal = never) =>
  fetchHttp({ method: 'GET', url, maxBytes, timeoutMs }, signal);

const isCode = (code: string) => (error: unknown) => error instanceof OperationalError && error.code === code;

test('a request carries method, headers and body, and gets status, body and retry-after', async () => {
  await serve(
    (request, response) => {
      request.setEncoding('utf8');
      let body = '';
      request.on('data', (chunk: string) => (body += chunk));
      request.on('end', () => {
        response
          .writeHead(503, { 'retry-after': '7' })
          .end(`${request.method} ${request.headers['x-a']} ${body}`);
      });
    },
    async (url) => {
      const reply = await fetchHttp(
        { method: 'POST', url, headers: { 'x-a': 'b' }, body: 'cé', maxBytes: 100, timeoutMs: 20_000 },
        never,
      );
      assert.equal(new TextDecoder().decode(reply.body), 'POST b cé');
      assert.deepEqual([reply.status, reply.retryAfterMs], [503, 7000]);
    },
  );
});

test('an answer of exactly maxBytes is whole, one byte more is http_too_long, said or not', async () => {
  await serve(
    (request, response) => {
      const body = Buffer.alloc(Number(request.url?.slice(2)), 1);
      if (request.url?.startsWith('/s') === true) response.writeHead(200, { 'content-length': body.length });
      response.write(body.subarray(0, 5));
      response.end(body.subarray(5));
    },
    async (url) => {
      assert.equal((await get(`${url}/s1000`)).body.length, 1000);
      assert.equal((await get(`${url}/c1000`)).body.length, 1000);
      await assert.rejects(get(`${url}/s1001`), isCode('http_too_long'));
      await assert.rejects(get(`${url}/c1001`), isCode('http_too_long'));
      await assert.rejects(get(`${url}/c100000`, 50_000), isCode('http_too_long'));
    },
  );
});

test('a small answer that unpacks to a large one is http_too_long', async () => {
  await serve(
    (_, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(Buffer.alloc(1_000_000)));
    },
    async (url) => {
      await assert.rejects(get(url, 10_000), isCode('http_too_long'));
    },
  );
});

test('a redirect is an answer like any other, and is not followed', async () => {
  const seen: string[] = [];
  await serve(
    (request, response) => {
      seen.push(request.url ?? '');
      response.writeHead(302, { location: '/elsewhere' }).end();
    },
    async (url) => {
      assert.equal((await get(`${url}/here`)).status, 302);
      assert.deepEqual(seen, ['/here']);
    },
  );
});

test('silence ends as http_timeout, a withdrawn request as http_aborted, before and while it is under way', async () => {
  await serve(
    (request, response) => {
      if (request.url === '/half') response.write('half');
    },
    async (url) => {
      await assert.rejects(get(url, 100, 30), isCode('http_timeout'));
      await assert.rejects(get(`${url}/half`, 100, 60), isCode('http_timeout'));
      await assert.rejects(get(url, 100, 20_000, AbortSignal.abort()), isCode('http_aborted'));
      const withdrawn = new AbortController();
      const reply = get(`${url}/half`, 100, 20_000, withdrawn.signal);
      setImmediate(() => withdrawn.abort());
      await assert.rejects(reply, isCode('http_aborted'));
    },
  );
});

test('nobody listening is http_refused, a broken answer http_broken', async () => {
  let dead = '';
  await serve(
    (request) => request.socket.destroy(),
    async (url) => {
      dead = url;
      await assert.rejects(get(url), isCode('http_broken'));
    },
  );
  await assert.rejects(get(dead), isCode('http_refused'));
});

test('connections are kept and used again', async () => {
  let connections = 0;
  await serve(
    (_, response) => {
      response.end('x');
    },
    async (url, server) => {
      server.on('connection', () => connections++);
      for (let index = 0; index < 5; index++) await get(url);
      assert.ok(connections < 5, `${connections} connections`);
    },
  );
});
