package portaltest

// testCatalogue asks something of each kind.
const Catalogue = `
languages: [en]
purposes:
  - id: recommendations
    version: 1
    devices: [speaker, car]
    class: C
    validity: 17520h
    legal_basis: consent
    data: [songs you play, time_of_day]
    recipients:
      - {name: Hearth Audio, relation: own, country: DE}
      - {name: Tonic Analytics, relation: processor, country: IE}
      - {name: Broadside Media, relation: third_party, country: US, sold: true}
    retention: 13 months, then deleted.
    countries: [DE, IE, US]
    facets: [use, third_party]
    texts:
      en:
        title: Recommendations
        what: We look at what you play and when.
        why: To suggest music and stations you may like.
        benefit: Suggestions that fit, on each of your devices.
        refusal: You get the charts instead.
        facets:
          use: May we use what you play to suggest music?
          third_party: May Broadside Media get your listening profile?
  - id: voice_clips
    version: 3
    devices: [speaker]
    class: A
    staleness: 30s
    validity: 8760h
    legal_basis: consent
    data: [voice recordings]
    recipients:
      - {name: Hearth Audio, relation: own, country: DE}
    retention: 90 days.
    countries: [DE]
    facets: [use]
    texts:
      en:
        title: Better understanding
        what: Short recordings of what you say to the speaker.
        why: To train it on voices like yours.
        benefit: It understands you better over time.
        refusal: It works as it does now.
        facets:
          use: May we keep recordings of your voice to learn from?
  - id: routes
    version: 1
    devices: [car]
    class: L
    validity: 8760h
    legal_basis: consent
    data: [routes]
    recipients: []
    retention: Until you delete it in the car.
    countries: []
    facets: [use]
    texts:
      en:
        title: Usual routes
        what: The car remembers where you drive.
        why: To warn you of traffic before you ask.
        benefit: It knows your way to work.
        refusal: You type each address.
        facets:
          use: May the car remember your routes?
  - id: updates
    version: 1
    devices: [speaker, car]
    class: N
    legal_basis: security
    data: [software version]
    recipients:
      - {name: Hearth Audio, relation: own, country: DE}
    retention: As long as you have the device.
    countries: [DE]
    facets: [use]
    texts:
      en:
        title: Updates
        what: The device asks for new software once a day.
        why: To close security holes.
        benefit: It stays safe.
        refusal: It can not be refused.
        facets:
          use: Needed
preferences:
  - {key: volume, type: int, min: 0, max: 10, default: 5, devices: [speaker], titles: {en: Volume when it starts}}
  - {key: units, type: enum, choices: [metric, imperial], default: metric, devices: [speaker, car], titles: {en: Units}, words: {en: {metric: Metric, imperial: Imperial}}}
  - {key: greeting, type: string, default: Hello, devices: [speaker], titles: {en: How it greets you}}
  - {key: microphone, type: bool, default: true, devices: [speaker], privacy: true, protective: false, titles: {en: Microphone}}
`
