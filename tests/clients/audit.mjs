// Runs the GraphQL over HTTP audit suite against the URL given as the only argument, and prints one JSON line:
// {"audits": [{"id", "name", "status", "reason"?}]}, status being "ok", "notice", "warn" or "error".
import { auditServer } from 'graphql-http';

const [url] = process.argv.slice(2);
const results = await auditServer({ url });
const audits = results.map(({ id, name, status, ...rest }) => ({ id, name, status, reason: rest.reason }));
process.stdout.write(`${JSON.stringify({ audits })}\n`);
