// A device that pairs by openid-client. All tokens are bound to its key (RFC
// 9449); without "dpop" they are a bearer's.
//
//	node device.mjs ISSUER CLIENT_ID oidc|oauth2 dpop|bearer
import { exportJWK } from 'jose'
import * as client from 'openid-client'
import { serve } from './lines.mjs'

const [issuer, id, algorithm, binding] = process.argv.slice(2)

// count watches what the library sends, and how often it is told to send again
// with another nonce (RFC 9449, Sections 8 and 9).
const sent = { requests: 0, nonces: 0 }
async function count(url, options) {
  const answer = await fetch(url, options)
  sent.requests++
  const refusal = answer.status === 400 || answer.status === 401 ? await answer.clone().text() : ''
  if (`${refusal} ${answer.headers.get('www-authenticate')}`.includes('use_dpop_nonce')) {
    sent.nonces++
  }
  return answer
}

const config = await client.discovery(new URL(issuer), id, undefined, client.None(), {
  algorithm,
  [client.customFetch]: count,
})
const key = await client.randomDPoPKeyPair('ES256')
const proving = binding === 'dpop' ? { DPoP: client.getDPoPHandle(config, key) } : {}

let code, tokens

await serve({
  async start({ scope }) {
    code = await client.initiateDeviceAuthorization(config, scope ? { scope } : {})
    return { user_code: code.user_code, uri: code.verification_uri_complete, expires_in: code.expires_in, interval: code.interval }
  },

  // poll waits for the owner. Its patience is longer than the code's life, so
  // that it is the server that says when that is over.
  async poll() {
    return keep(await client.pollDeviceAuthorizationGrant(config, code, undefined, { ...proving, signal: AbortSignal.timeout(60_000) }))
  },

  async refresh() {
    return keep(await client.refreshTokenGrant(config, tokens.refresh_token, undefined, proving))
  },

  // revoke gives the refresh token back (RFC 7009).
  async revoke() {
    await client.tokenRevocation(config, tokens.refresh_token, { token_type_hint: 'refresh_token' })
  },

  // call sends the key to a resource.
  async call({ url }) {
    const body = JSON.stringify({ public_key: await exportJWK(key.publicKey) })
    const headers = new Headers({ 'content-type': 'application/json' })
    const answer = await client.fetchProtectedResource(config, tokens.access_token, new URL(url), 'POST', body, headers, proving)
    return { status: answer.status, ...sent }
  },
})

function keep(given) {
  tokens = { ...tokens, ...given }
  return { access_token: given.access_token, type: given.token_type, scope: given.scope, expires_in: given.expires_in, ...sent }
}
