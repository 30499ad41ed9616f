// Does the gateway on SLUICE_DATA answer? For a container's HEALTHCHECK: through the socket, so TLS or not makes no difference,
// at a twentieth of what a command costs to start, and it never opens the store itself.
import { request } from 'node:http';
import { join } from 'node:path';

const socketPath = join(process.env.SLUICE_DATA ?? 'data', 'sluice.sock');
const end = (problem) => {
  if (problem !== undefined) process.stderr.write(`${problem}\n`);
  process.exit(problem === undefined ? 0 : 1);
};
request({ socketPath, path: '/status', method: 'POST', headers: { 'content-type': 'application/json' } }, (reply) =>
  end(reply.statusCode === 200 ? undefined : `it answered ${reply.statusCode}`),
)
  .on('error', ({ code }) => end(`it does not answer (${code})`))
  .setTimeout(8000, () => end('it does not answer in time'))
  .end('[]');
