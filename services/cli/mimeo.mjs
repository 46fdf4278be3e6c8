#!/usr/bin/env node
// Plain JavaScript, so that any Node can read it: starts main.ts under a Node that runs TypeScript as it stands.
// The npm package `node`, a dependency of ours, brings one along for machines whose own Node is older.
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);

if (major > 22 || (major === 22 && minor >= 18)) {
  await import('./main.ts');
} else {
  const bundled = fileURLToPath(new URL('../../node_modules/node/bin/node', import.meta.url));
  if (existsSync(bundled)) {
    runUnder(bundled);
  } else {
    process.stderr.write(
      `mimeo: this is Node ${process.versions.node}; Mimeo needs Node 22.18 or newer. ` +
        'Run npm install in the folder of Mimeo: it brings one along.\n',
    );
    process.exitCode = 2;
  }
}

/** Runs the command line under another Node as if it were this process. */
function runUnder(node) {
  const main = fileURLToPath(new URL('main.ts', import.meta.url));
  const child = spawn(node, [main, ...process.argv.slice(2)], { stdio: 'inherit' });
  // A terminal signals the child by itself and a supervisor does not: the child takes either, once or twice.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    process.stderr.write(`mimeo: ${node} cannot be started (${error.message}); run npm install again.\n`);
    process.exitCode = 2;
  });
  child.on('exit', (code, signal) => {
    if (signal === null) process.exitCode = code ?? 1;
    else {
      process.removeAllListeners(signal);
      process.kill(process.pid, signal);
    }
  });
}
