/** What a sphere is made of. `light` shines with `color` × `strength`. */
export const MATERIALS = ['diffuse', 'metal', 'glass', 'light']

const MAX_SPHERES = 200
const MAX_COORDINATE = 10_000

/** The built-in scene: dusk, one large soft lamp, a warm one, a small blue one, and things for them to shine on. */
export const BUILT_IN = {
  camera: { from: [0.3, 1.75, 6.4], to: [0.05, 0.78, 0], fovDegrees: 36, aperture: 0.06, focusDistance: 6.1 },
  sky: { top: [0.07, 0.12, 0.28], bottom: [0.42, 0.3, 0.32] },
  floor: { height: 0, color: [0.62, 0.62, 0.65], checker: [0.17, 0.18, 0.22] },
  spheres: [
    { center: [-2.3, 5.2, 2.2], radius: 1.2, material: 'light', color: [1, 0.93, 0.82], strength: 11 },
    { center: [4.6, 2.6, -2.4], radius: 0.55, material: 'light', color: [1, 0.5, 0.24], strength: 15 },
    { center: [0, 1, -0.4], radius: 1, material: 'glass', color: [0.98, 1, 0.99], refraction: 1.5 },
    {
      center: [-2.15, 0.95, -1],
      radius: 0.95,
      material: 'metal',
      color: [0.98, 0.78, 0.42],
      roughness: 0.04,
    },
    { center: [2.15, 0.9, -0.9], radius: 0.9, material: 'metal', color: [0.86, 0.88, 0.93], roughness: 0.22 },
    { center: [-1.05, 0.34, 1.35], radius: 0.34, material: 'diffuse', color: [0.84, 0.16, 0.2] },
    { center: [1.12, 0.3, 1.5], radius: 0.3, material: 'diffuse', color: [0.12, 0.42, 0.8] },
    {
      center: [0.12, 0.24, 1.95],
      radius: 0.24,
      material: 'glass',
      color: [0.72, 0.97, 0.84],
      refraction: 1.45,
    },
    { center: [1.85, 0.2, 2.05], radius: 0.2, material: 'metal', color: [0.95, 0.55, 0.45], roughness: 0.1 },
    { center: [-1.75, 0.18, 2.2], radius: 0.18, material: 'diffuse', color: [0.93, 0.76, 0.2] },
    { center: [-0.5, 0.12, 2.5], radius: 0.12, material: 'light', color: [0.4, 0.75, 1], strength: 6 },
    { center: [-4.3, 1.5, -4.6], radius: 1.5, material: 'diffuse', color: [0.3, 0.5, 0.38] },
    { center: [3.7, 1.25, -4.9], radius: 1.25, material: 'diffuse', color: [0.66, 0.5, 0.74] },
  ],
}

/** Shown with every complaint: a caller that is a program learns the format from it. */
export const FORMAT = `A scene is JSON like ${JSON.stringify({ ...BUILT_IN, spheres: BUILT_IN.spheres.slice(1, 4) })}; "floor", "aperture", "focusDistance", "roughness", "refraction" and "strength" may be left out. Materials: ${MATERIALS.join(', ')}.`

const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value)

/** Collects what is wrong instead of stopping at the first mistake. */
function createChecker(issues) {
  const number = (value, path, min, max) => {
    if (typeof value !== 'number' || !(value >= min && value <= max))
      issues.push(`${path} must be a number from ${min} to ${max}`)
  }
  const triple = (value, path, min, max) => {
    if (!Array.isArray(value) || value.length !== 3) return void issues.push(`${path} must be three numbers`)
    value.forEach((one, index) => {
      number(one, `${path}[${index}]`, min, max)
    })
  }
  const object = (value, path, allowed) => {
    if (!isObject(value)) return void issues.push(`${path} must be an object`)
    for (const key of Object.keys(value))
      if (!allowed.includes(key)) issues.push(`${path}.${key} is not known`)
    return true
  }
  const optional = (value, check) => {
    if (value !== undefined) check(value)
  }
  return { number, triple, object, optional }
}

function checkSphere(sphere, path, { number, triple, object, optional }, issues) {
  const known = ['center', 'radius', 'material', 'color', 'roughness', 'refraction', 'strength']
  if (!object(sphere, path, known)) return
  triple(sphere.center, `${path}.center`, -MAX_COORDINATE, MAX_COORDINATE)
  number(sphere.radius, `${path}.radius`, 0.001, MAX_COORDINATE)
  triple(sphere.color, `${path}.color`, 0, 1)
  if (!MATERIALS.includes(sphere.material))
    issues.push(`${path}.material must be one of ${MATERIALS.join(', ')}`)
  optional(sphere.roughness, (value) => number(value, `${path}.roughness`, 0, 1))
  optional(sphere.refraction, (value) => number(value, `${path}.refraction`, 1, 4))
  optional(sphere.strength, (value) => number(value, `${path}.strength`, 0, 1_000))
}

/** @returns what is wrong with a scene; empty when nothing is */
export function findIssues(scene) {
  const issues = []
  const check = createChecker(issues)
  const { number, triple, object, optional } = check
  if (!object(scene, 'scene', ['camera', 'sky', 'floor', 'spheres'])) return issues
  if (object(scene.camera, 'camera', ['from', 'to', 'fovDegrees', 'aperture', 'focusDistance'])) {
    triple(scene.camera.from, 'camera.from', -MAX_COORDINATE, MAX_COORDINATE)
    triple(scene.camera.to, 'camera.to', -MAX_COORDINATE, MAX_COORDINATE)
    number(scene.camera.fovDegrees, 'camera.fovDegrees', 1, 150)
    optional(scene.camera.aperture, (value) => number(value, 'camera.aperture', 0, 10))
    optional(scene.camera.focusDistance, (value) =>
      number(value, 'camera.focusDistance', 0.01, MAX_COORDINATE),
    )
  }
  if (object(scene.sky, 'sky', ['top', 'bottom'])) {
    triple(scene.sky.top, 'sky.top', 0, 100)
    triple(scene.sky.bottom, 'sky.bottom', 0, 100)
  }
  optional(scene.floor, (floor) => {
    if (!object(floor, 'floor', ['height', 'color', 'checker'])) return
    number(floor.height, 'floor.height', -MAX_COORDINATE, MAX_COORDINATE)
    triple(floor.color, 'floor.color', 0, 1)
    optional(floor.checker, (value) => triple(value, 'floor.checker', 0, 1))
  })
  if (!Array.isArray(scene.spheres) || scene.spheres.length > MAX_SPHERES)
    return [...issues, `spheres must be a list of at most ${MAX_SPHERES}`]
  scene.spheres.forEach((sphere, index) => {
    checkSphere(sphere, `spheres[${index}]`, check, issues)
  })
  return issues
}
