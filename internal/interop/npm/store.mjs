// What a provider remembers, in one JSON file.
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'

export function open(file) {
  const all = existsSync(file) ? JSON.parse(readFileSync(file)) : {}
  const save = () => {
    writeFileSync(file + '.new', JSON.stringify(all))
    renameSync(file + '.new', file)
  }
  const live = (entry) => (entry && !(entry.end < Date.now()) ? entry.payload : undefined)

  class Adapter {
    constructor(model) {
      this.table = all[model] ??= {}
    }
    async upsert(id, payload, seconds) {
      this.table[id] = { payload, end: seconds ? Date.now() + seconds * 1000 : undefined }
      save()
    }
    async find(id) {
      return live(this.table[id])
    }
    async findBy(field, value) {
      return Object.values(this.table).map(live).find((payload) => payload?.[field] === value)
    }
    findByUid(uid) {
      return this.findBy('uid', uid)
    }
    findByUserCode(code) {
      return this.findBy('userCode', code)
    }
    async consume(id) {
      this.table[id].payload.consumed = Math.floor(Date.now() / 1000)
      save()
    }
    async destroy(id) {
      delete this.table[id]
      save()
    }
    async revokeByGrantId(grant) {
      for (const [id, entry] of Object.entries(this.table)) {
        if (entry.payload.grantId === grant) delete this.table[id]
      }
      save()
    }
  }

  return {
    adapter: Adapter,
    once(name, make) {
      all[name] ??= make()
      save()
      return all[name]
    },
    forget(...models) {
      for (const model of models) {
        for (const id of Object.keys(all[model] ?? {})) delete all[model][id]
      }
      save()
    },
  }
}
