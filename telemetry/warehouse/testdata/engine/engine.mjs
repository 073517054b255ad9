// A ClickHouse engine that takes one statement per line on standard input, as JSON {"sql": "..."}, and answers each with
// one line: {"native": "..."}, the result in the format Native as base64, or {"error": "..."}. Its arguments are the
// directory of its data and a file of configuration.
import { createInterface } from 'node:readline'
import { Session } from 'chdb'

const session = new Session(process.argv[2], { connectionArgs: ['--config-file=' + process.argv[3]] })
for await (const line of createInterface({ input: process.stdin })) {
  let answer
  try {
    const result = await session.queryAsync(JSON.parse(line).sql, { format: 'Native' })
    answer = { native: Buffer.from(result.bytes()).toString('base64') }
  } catch (err) {
    answer = { error: err.message }
  }
  process.stdout.write(JSON.stringify(answer) + '\n')
}
session.close()
