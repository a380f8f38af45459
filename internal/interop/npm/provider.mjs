// A brand's identity provider that knows nothing of Cardea: oidc-provider with
// the device grant, and with DPoP whose nonces it insists on. What it knows
// stands in a file, so that it can be killed and started again.
//
//	node provider.mjs PORT FILE
//
// Beside the answers to commands it prints each request it got.
import { createServer } from 'node:http'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { Provider } from 'oidc-provider'
import { serve, say } from './lines.mjs'
import { open } from './store.mjs'

const [port, file] = process.argv.slice(2)
const store = open(file)
const issuer = `http://127.0.0.1:${port}`
const device = 'urn:ietf:params:oauth:grant-type:device_code'

const provider = new Provider(issuer, {
  adapter: store.adapter,
  clients: [
    { client_id: 'cardea-agent', token_endpoint_auth_method: 'none', grant_types: [device, 'refresh_token'], response_types: [], redirect_uris: [] },
    { client_id: 'service', client_secret: 'a secret of the service', grant_types: [], response_types: [], redirect_uris: [] },
  ],
  cookies: { keys: ['a key for cookies'] },
  jwks: store.once('jwks', () => ({ keys: [generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey.export({ format: 'jwk' })] })),
  features: {
    deviceFlow: { enabled: true },
    // Another secret at each start: what a device holds from before is refused.
    dPoP: { enabled: true, nonceSecret: randomBytes(32), requireNonce: () => true },
    introspection: { enabled: true, allowedPolicy: () => true },
    revocation: { enabled: true },
  },
  ttl: { AccessToken: 20, DeviceCode: 120, RefreshToken: 3600, Grant: 3600, Session: 3600, Interaction: 600, IdToken: 60 },
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
})
provider.on('grant.error', (ctx, err) => { ctx.res.refusal = err.error })
const answer = provider.callback()

let broken = 0 // the status that everything is answered with; 0: none
const server = createServer((request, response) => {
  const path = request.url.split('?')[0]
  response.on('finish', () => say({ request: `${request.method} ${path}`, status: response.statusCode, refusal: response.refusal }))
  if (broken) {
    response.writeHead(broken, { 'content-type': 'text/html' }).end('<h1>Something is wrong here</h1>')
    return
  }
  answer(request, response)
})
await new Promise((ready) => server.listen(port, '127.0.0.1', ready))
say({ ready: issuer })

await serve({
  break({ status }) {
    broken = status
  },
  // end takes everything back that was granted.
  end() {
    store.forget('RefreshToken', 'AccessToken', 'Grant')
  },
})
