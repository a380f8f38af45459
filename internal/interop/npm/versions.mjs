// Prints the versions of the packages named, and of node.
import { readFileSync } from 'node:fs'

const of = (name) => JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url))).version
console.log(JSON.stringify({ node: process.version, ...Object.fromEntries(process.argv.slice(2).map((name) => [name, of(name)])) }))
