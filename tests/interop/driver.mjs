// Drives BullMQ's Node client for the tests: one JSON command a line on stdin,
// one JSON answer a line on stdout. Usage: node driver.mjs <bullmq package> <redis url>
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";

const require = createRequire(import.meta.url);
const [packageName, redisUrl] = process.argv.slice(2);
const bullmq = require(packageName);
const address = new URL(redisUrl);
// Longer than any pause of a busy machine, and than any test.
const patient = { lockDuration: 600000, stalledInterval: 600000 };
const connection = {
  host: address.hostname,
  port: Number(address.port),
  password: decodeURIComponent(address.password),
  maxRetriesPerRequest: null,
};
const opened = {
  queues: new Map(),
  workers: new Map(),
  events: new Map(),
  consumers: new Map(),
  flows: new Map(),
};

function cached(map, key, create) {
  if (!map.has(key)) {
    const made = create();
    made.on?.("error", () => {});
    map.set(key, made);
  }
  return map.get(key);
}

function queueOf({ queue, prefix = "myia" }) {
  return cached(
    opened.queues,
    `${prefix}:${queue}`,
    () => new bullmq.Queue(queue, { connection, prefix }),
  );
}

async function jobOf(command) {
  const job = await bullmq.Job.fromId(queueOf(command), command.id);
  if (!job) throw new Error(`job ${command.id} not found`);
  return job;
}

// What a worker does with a job is written in the job's own data.
async function perform(job, token) {
  const wish = job.data ?? {};
  for (const line of wish.log ?? []) await job.log(line);
  if (wish.progress !== undefined) await job.updateProgress(wish.progress);
  if (wish.sleep) await sleep(wish.sleep);
  if (wish.unrecoverable) throw new bullmq.UnrecoverableError(wish.unrecoverable);
  if (wish.fail && job.attemptsMade < (wish.failTimes ?? Infinity)) {
    throw new Error(wish.fail);
  }
  return wish.returns === undefined ? { by: "node" } : wish.returns;
}

function startWorker({ key, queue, prefix = "myia", options = {} }) {
  const seen = [];
  const worker = new bullmq.Worker(
    queue,
    async (job, token) => {
      seen.push({ id: job.id, name: job.name, at: Date.now() });
      return perform(job, token);
    },
    { connection, prefix, ...options },
  );
  worker.on("error", () => {});
  opened.workers.set(key, { worker, seen });
  return worker.waitUntilReady().then(() => true);
}

async function startEvents({ queue, prefix = "myia" }) {
  // From the beginning: what happens before its first read is on the way counts, too.
  const events = new bullmq.QueueEvents(queue, { connection, prefix, lastEventId: "0-0" });
  const seen = [];
  events.on("error", () => {});
  const emit = events.emit.bind(events);
  events.emit = (name, ...rest) => {
    if (typeof rest[0] === "object" && name !== "error") seen.push([name, rest[0]]);
    return emit(name, ...rest);
  };
  opened.events.set(`${prefix}:${queue}`, { events, seen });
  await events.waitUntilReady();
  return true;
}

async function startBoard({ queues, prefix = "myia" }) {
  const { createBullBoard } = require("@bull-board/api");
  const { BullMQAdapter } = require("@bull-board/api/bullMQAdapter");
  const { ExpressAdapter } = require("@bull-board/express");
  const express = require("express");
  const serverAdapter = new ExpressAdapter();
  serverAdapter.setBasePath("/admin/queues");
  createBullBoard({
    queues: queues.map((queue) => new BullMQAdapter(queueOf({ queue, prefix }))),
    serverAdapter,
  });
  const app = express();
  app.use("/admin/queues", serverAdapter.getRouter());
  const server = app.listen(0, "127.0.0.1");
  await new Promise((done) => server.once("listening", done));
  return `http://127.0.0.1:${server.address().port}/admin/queues`;
}

const operations = {
  version: async () => require(`${packageName}/package.json`).version,
  queue: async (c) => queueOf(c)[c.method](...(c.args ?? [])),
  job: async (c) => (await jobOf(c))[c.method](...(c.args ?? [])),
  worker: async (c) => startWorker(c),
  workerSeen: async ({ key }) => opened.workers.get(key).seen,
  workerCall: async (c) => opened.workers.get(c.key).worker[c.method](...(c.args ?? [])),
  workerStop: async ({ key, force = false }) => {
    const { worker } = opened.workers.get(key);
    opened.workers.delete(key);
    await worker.close(force);
    return true;
  },
  events: async (c) => startEvents(c),
  eventsSeen: async ({ queue, prefix = "myia" }) =>
    opened.events.get(`${prefix}:${queue}`).seen,
  waitUntilFinished: async (c) =>
    (await jobOf(c)).waitUntilFinished(
      opened.events.get(`${c.prefix ?? "myia"}:${c.queue}`).events,
      c.timeout ?? 60000,
    ),
  flow: async ({ tree, prefix = "myia" }) => {
    const producer = cached(
      opened.flows,
      prefix,
      () => new bullmq.FlowProducer({ connection, prefix }),
    );
    const shape = (node) => ({ id: node.job.id, children: (node.children ?? []).map(shape) });
    return shape(await producer.add(tree));
  },
  board: async (c) => startBoard(c),
  close: async () => {
    for (const { worker } of opened.workers.values()) await worker.close(true);
    for (const { events } of opened.events.values()) await events.close();
    for (const kind of ["queues", "consumers", "flows"]) {
      for (const made of opened[kind].values()) await made.close();
    }
    for (const kind of Object.values(opened)) kind.clear();
    return true;
  },
};

// A manual consumer: claims with a token of the test's choice, ends it as told.
async function consumerOf({ queue, prefix = "myia", options = {} }) {
  const key = `${prefix}:${queue}`;
  const worker = cached(
    opened.consumers,
    key,
    () => new bullmq.Worker(queue, null, { connection, prefix, ...patient, ...options }),
  );
  await worker.waitUntilReady();
  return worker;
}

const claimed = new Map();

operations.claim = async (c) => {
  const worker = await consumerOf(c);
  const job = await worker.getNextJob(c.token, { block: false });
  if (job) claimed.set(`${c.queue}:${job.id}`, job);
  return job ?? null;
};

operations.finish = async (c) => {
  const job = claimed.get(`${c.queue}:${c.id}`);
  if (c.outcome === "completed") return job.moveToCompleted(c.value, c.token, false);
  const error = new (c.unrecoverable ? bullmq.UnrecoverableError : Error)(c.value);
  error.stack = `Error: ${c.value}`;
  return job.moveToFailed(error, c.token, false);
};

operations.stalledCheck = async (c) => {
  const worker = await consumerOf(c);
  return worker.moveStalledJobsToWait();
};

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  Promise.resolve()
    .then(() => operations[command.op](command))
    .then(
      (value) => ({ n: command.n, value: value === undefined ? null : value }),
      (error) => ({ n: command.n, error: String(error?.message ?? error) }),
    )
    .then((answer) => process.stdout.write(`${JSON.stringify(answer)}\n`));
}
process.exit(0);
