// What the scripts have in common: each line of stdin is a command, a JSON
// object whose "do" names it, and each is answered with one line of JSON.
import { createInterface } from 'node:readline'

// Libraries print to stdout, which is for answers.
console.log = console.info = console.error

export function say(line) {
  process.stdout.write(JSON.stringify(line) + '\n')
}

export async function serve(commands) {
  for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line)
    try {
      say((await commands[command.do](command)) ?? {})
    } catch (err) {
      say({ problem: problem(err) })
    }
  }
  process.exit(0)
}

// problem is what a developer sees of an error: its name and the server's words.
function problem(err) {
  const { error, error_description: description, status } = err
  return { name: err.name, message: err.message, code: err.code, error, description, status, cause: err.cause?.message }
}
