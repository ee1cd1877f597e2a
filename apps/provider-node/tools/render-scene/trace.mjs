/**
 * A path tracer for spheres over a floor: diffuse light by next-event estimation, metal, glass, depth of field.
 * Vectors live in plain numbers and a few scratch arrays: an allocation a bounce made it twice as slow.
 */
const DIFFUSE = 0
const METAL = 1
const GLASS = 2
const LIGHT = 3
const KINDS = { diffuse: DIFFUSE, metal: METAL, glass: GLASS, light: LIGHT }

const EPSILON = 1e-4
const FAR = 1e9
const MAX_BOUNCES = 8
const ROULETTE_AFTER = 3
/** A single path must not set a white dot that no number of samples averages away. */
const BRIGHTEST = 12

/** sfc32-like generator; seeded by pixel, so that the picture does not depend on how many threads drew it. */
function createRandom() {
  let a = 1
  let b = 1
  return {
    seed(pixel) {
      a = Math.imul(pixel + 1, 0x9e3779b1) | 1
      b = Math.imul(pixel ^ 0x5bd1e995, 0x85ebca6b) | 1
      for (let i = 0; i < 4; i += 1) this.next()
    },
    next() {
      a ^= a << 13
      a ^= a >>> 17
      a ^= a << 5
      b = (Math.imul(b, 1664525) + 1013904223) | 0
      return ((a + b) >>> 0) / 4294967296
    },
  }
}

const subtract = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]]
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]]
const unit = (a) => {
  const length = Math.hypot(...a) || 1
  return a.map((one) => one / length)
}

function createCamera({ from, to, fovDegrees, aperture = 0, focusDistance }, width, height) {
  const forward = unit(subtract(to, from))
  const right = unit(cross(forward, Math.abs(forward[1]) > 0.999 ? [0, 0, 1] : [0, 1, 0]))
  const up = cross(right, forward)
  const focus = focusDistance ?? (Math.hypot(...subtract(to, from)) || 1)
  const halfHeight = Math.tan((fovDegrees * Math.PI) / 360) * focus
  return { from, forward, right, up, focus, aperture, halfHeight, halfWidth: (halfHeight * width) / height }
}

/** @returns `renderRow(y, row)`, which fills one row of 8-bit RGB */
export function createTracer(scene, width, height, samples) {
  const random = createRandom()
  const spheres = scene.spheres.map((sphere) => ({
    x: sphere.center[0],
    y: sphere.center[1],
    z: sphere.center[2],
    radius: sphere.radius,
    kind: KINDS[sphere.material],
    color:
      sphere.material === 'light' ? sphere.color.map((one) => one * (sphere.strength ?? 5)) : sphere.color,
    roughness: sphere.roughness ?? 0,
    refraction: sphere.refraction ?? 1.5,
  }))
  const lights = spheres
    .filter(({ kind }) => kind === LIGHT)
    .map((light) =>
      Object.assign(light, { power: (0.01 + Math.max(...light.color)) * light.radius ** 2, reach: 0 }),
    )
  const world = {
    spheres,
    lights,
    sky: scene.sky,
    floor: scene.floor,
    random,
    hit: { distance: 0, sphere: null },
  }
  const camera = createCamera(scene.camera, width, height)
  const strata = Math.max(1, Math.floor(Math.sqrt(samples)))
  const color = new Float64Array(3)
  return (y, row) => {
    for (let x = 0; x < width; x += 1) {
      random.seed(y * width + x)
      color.fill(0)
      for (let sample = 0; sample < samples; sample += 1) {
        const cell = sample % (strata * strata)
        const px = (x + ((cell % strata) + random.next()) / strata) / width
        const py = (y + (Math.floor(cell / strata) + random.next()) / strata) / height
        shoot(camera, px, py, random)
        follow(world, color)
      }
      for (let channel = 0; channel < 3; channel += 1)
        row[x * 3 + channel] = display(color[channel] / samples)
    }
  }
}

/** ACES film curve (Narkowicz 2015), then the sRGB gamma. */
function display(value) {
  const film = (value * (2.51 * value + 0.03)) / (value * (2.43 * value + 0.59) + 0.14)
  return Math.round(255 * Math.min(1, Math.max(0, film)) ** (1 / 2.2))
}

/** Origin and direction of the ray that is followed; one at a time. */
const ray = new Float64Array(6)
/** What is left of the light's colour along it. */
const weight = new Float64Array(3)

function shoot(camera, px, py, random) {
  const radius = camera.aperture * Math.sqrt(random.next())
  const angle = 2 * Math.PI * random.next()
  const lensX = radius * Math.cos(angle)
  const lensY = radius * Math.sin(angle)
  const sideways = (2 * px - 1) * camera.halfWidth - lensX
  const upwards = (1 - 2 * py) * camera.halfHeight - lensY
  let length = 0
  for (let i = 0; i < 3; i += 1) {
    ray[i] = camera.from[i] + camera.right[i] * lensX + camera.up[i] * lensY
    ray[3 + i] = camera.forward[i] * camera.focus + camera.right[i] * sideways + camera.up[i] * upwards
    length += ray[3 + i] * ray[3 + i]
  }
  length = Math.sqrt(length)
  for (let i = 3; i < 6; i += 1) ray[i] /= length
}

/** Nearest sphere or floor along a ray; writes `world.hit`. */
function intersect(world) {
  let nearest = FAR
  let found = null
  for (const sphere of world.spheres) {
    const ox = ray[0] - sphere.x
    const oy = ray[1] - sphere.y
    const oz = ray[2] - sphere.z
    const half = ox * ray[3] + oy * ray[4] + oz * ray[5]
    const inside = half * half - (ox * ox + oy * oy + oz * oz - sphere.radius * sphere.radius)
    if (inside <= 0) continue
    const root = Math.sqrt(inside)
    const distance = -half - root > EPSILON ? -half - root : -half + root
    if (distance > EPSILON && distance < nearest) {
      nearest = distance
      found = sphere
    }
  }
  world.hit.sphere = found
  world.hit.distance = nearest
  if (world.floor && ray[4] < 0) {
    const distance = (world.floor.height - ray[1]) / ray[4]
    if (distance > EPSILON && distance < nearest) {
      world.hit.sphere = null
      world.hit.distance = distance
      return true
    }
  }
  return found !== null
}

/** One path of light, backwards from the camera; adds what it brings to `color`. */
function follow(world, color) {
  const { random, hit, sky } = world
  weight.fill(1)
  let seesLights = true
  for (let bounce = 0; bounce < MAX_BOUNCES; bounce += 1) {
    if (!intersect(world)) {
      const height = Math.max(0, ray[4]) ** 0.6
      for (let i = 0; i < 3; i += 1)
        add(color, i, weight[i] * (sky.bottom[i] + (sky.top[i] - sky.bottom[i]) * height))
      return
    }
    for (let i = 0; i < 3; i += 1) ray[i] += ray[3 + i] * hit.distance
    const { sphere } = hit
    if (sphere?.kind === LIGHT) {
      // A diffuse bounce has already counted the lights that it aimed at.
      if (seesLights) for (let i = 0; i < 3; i += 1) add(color, i, weight[i] * sphere.color[i])
      return
    }
    const tint = sphere ? sphere.color : floorColor(world.floor, hit.distance)
    for (let i = 0; i < 3; i += 1) weight[i] *= tint[i]
    seesLights = sphere !== null && sphere.kind !== DIFFUSE
    if (!sphere) scatterDiffuse(world, 0, 1, 0, color)
    else bounceOff(world, sphere, color)
    if (bounce >= ROULETTE_AFTER) {
      const survival = Math.min(0.95, Math.max(weight[0], weight[1], weight[2]))
      if (random.next() >= survival) return
      for (let i = 0; i < 3; i += 1) weight[i] /= survival
    }
  }
}

function add(color, channel, value) {
  color[channel] += Math.min(value, BRIGHTEST)
}

const floorMix = new Float64Array(3)
/** Beyond this the squares are smaller than a pixel, and their mean colour is what is seen. */
const SQUARES_UNTIL = 30

function floorColor({ color, checker }, distance) {
  if (!checker) return color
  const own = (Math.floor(ray[0]) + Math.floor(ray[2])) & 1 ? checker : color
  const fade = Math.min(1, distance / SQUARES_UNTIL)
  for (let i = 0; i < 3; i += 1) floorMix[i] = own[i] + ((color[i] + checker[i]) / 2 - own[i]) * fade
  return floorMix
}

function bounceOff(world, sphere, color) {
  const nx = (ray[0] - sphere.x) / sphere.radius
  const ny = (ray[1] - sphere.y) / sphere.radius
  const nz = (ray[2] - sphere.z) / sphere.radius
  if (sphere.kind === DIFFUSE) scatterDiffuse(world, nx, ny, nz, color)
  else if (sphere.kind === METAL) reflect(nx, ny, nz, sphere.roughness, world.random)
  else refract(nx, ny, nz, sphere.refraction, world.random)
}

function reflect(nx, ny, nz, roughness, random) {
  const along = 2 * (ray[3] * nx + ray[4] * ny + ray[5] * nz)
  ray[3] -= along * nx
  ray[4] -= along * ny
  ray[5] -= along * nz
  if (roughness === 0) return
  const turn = roughness * random.next()
  const z = 2 * random.next() - 1
  const angle = 2 * Math.PI * random.next()
  const flat = Math.sqrt(1 - z * z)
  ray[3] += turn * flat * Math.cos(angle)
  ray[4] += turn * flat * Math.sin(angle)
  ray[5] += turn * z
  normalise()
}

/** Snell's law, with Schlick's approximation for how much is reflected instead. */
function refract(nx, ny, nz, index, random) {
  const facing = ray[3] * nx + ray[4] * ny + ray[5] * nz
  const side = facing < 0 ? 1 : -1
  const ratio = side > 0 ? 1 / index : index
  const cosine = Math.min(1, Math.abs(facing))
  const through = 1 - ratio * ratio * (1 - cosine * cosine)
  const base = ((1 - index) / (1 + index)) ** 2
  if (through < 0 || random.next() < base + (1 - base) * (1 - cosine) ** 5)
    return reflect(nx, ny, nz, 0, random)
  const bend = side * (ratio * cosine - Math.sqrt(through))
  ray[3] = ratio * ray[3] + bend * nx
  ray[4] = ratio * ray[4] + bend * ny
  ray[5] = ratio * ray[5] + bend * nz
  normalise()
}

function normalise() {
  const length = Math.sqrt(ray[3] * ray[3] + ray[4] * ray[4] + ray[5] * ray[5]) || 1
  ray[3] /= length
  ray[4] /= length
  ray[5] /= length
}

/** Aims at one lamp, then goes on in a cosine-weighted direction. */
function scatterDiffuse(world, nx, ny, nz, color) {
  const { random } = world
  const light = chooseLight(world)
  if (light) aimAt(world, light, light.reach / world.reachOfAll, nx, ny, nz, color)
  const z = 2 * random.next() - 1
  const angle = 2 * Math.PI * random.next()
  const flat = Math.sqrt(1 - z * z)
  ray[3] = nx + flat * Math.cos(angle)
  ray[4] = ny + flat * Math.sin(angle)
  ray[5] = nz + z
  normalise()
}

/** One lamp, more often the more light it can bring here; aiming at all of them costs more than the noise it saves. */
function chooseLight(world) {
  world.reachOfAll = 0
  for (const light of world.lights) {
    const dx = light.x - ray[0]
    const dy = light.y - ray[1]
    const dz = light.z - ray[2]
    light.reach = light.power / (dx * dx + dy * dy + dz * dz)
    world.reachOfAll += light.reach
  }
  let left = world.random.next() * world.reachOfAll
  for (const light of world.lights) {
    left -= light.reach
    if (left <= 0) return light
  }
  return null
}

/** Whether something stands between the ray's origin and a lamp in direction `dx, dy, dz`. */
function isHidden(world, light, dx, dy, dz, farthest) {
  for (const sphere of world.spheres) {
    if (sphere === light) continue
    const ox = ray[0] - sphere.x
    const oy = ray[1] - sphere.y
    const oz = ray[2] - sphere.z
    const half = ox * dx + oy * dy + oz * dz
    const inside = half * half - (ox * ox + oy * oy + oz * oz - sphere.radius * sphere.radius)
    if (inside <= 0) continue
    const root = Math.sqrt(inside)
    const distance = -half - root > EPSILON ? -half - root : -half + root
    if (distance > EPSILON && distance < farthest) return true
  }
  return false
}

/** Samples the cone under which a spherical lamp is seen; the frame around its axis is Duff's (JCGT 2017). */
function aimAt(world, light, chance, nx, ny, nz, color) {
  const dx = light.x - ray[0]
  const dy = light.y - ray[1]
  const dz = light.z - ray[2]
  const length = Math.sqrt(dx * dx + dy * dy + dz * dz)
  if (length <= light.radius) return
  const widest = Math.sqrt(1 - (light.radius * light.radius) / (length * length))
  const cosine = 1 - world.random.next() * (1 - widest)
  const sine = Math.sqrt(1 - cosine * cosine)
  const angle = 2 * Math.PI * world.random.next()
  const a = sine * Math.cos(angle)
  const b = sine * Math.sin(angle)
  const [wx, wy, wz] = [dx / length, dy / length, dz / length]
  const sign = wz < 0 ? -1 : 1
  const k = -1 / (sign + wz)
  const m = wx * wy * k
  const ax = a * (1 + sign * wx * wx * k) + b * m + wx * cosine
  const ay = a * sign * m + b * (sign + wy * wy * k) + wy * cosine
  const az = -a * sign * wx - b * wy + wz * cosine
  const lit = ax * nx + ay * ny + az * nz
  if (lit <= 0 || isHidden(world, light, ax, ay, az, length - light.radius)) return
  if (world.floor && ay < 0 && ray[1] + ay * length < world.floor.height) return
  // Lambert's 1/π times the cone's solid angle 2π(1 − cos), over the chance of having chosen this lamp.
  const share = (2 * (1 - widest) * lit) / chance
  for (let i = 0; i < 3; i += 1) add(color, i, weight[i] * light.color[i] * share)
}
