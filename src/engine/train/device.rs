//! What this machine can train on. CUDA is found at run time: one library serves machines with and without a GPU.

use super::{Device, DeviceInfo, Gpu, TrainError};

/// The devices of this machine, the CPU first. Opens no CUDA context and never panics, but loads the driver: call it in
/// a process that may be thrown away.
pub fn devices() -> Vec<DeviceInfo> {
    let mut devices = vec![cpu()];
    match cuda() {
        Ok(found) => devices.extend(found),
        Err(note) => devices.push(DeviceInfo {
            device: "cuda".into(),
            name: "NVIDIA GPU".into(),
            memory_bytes: None,
            available: false,
            note: Some(note),
        }),
    }
    devices
}

/// `auto`, `cpu`, `cuda` or `cuda:N` to a device. `auto` takes the GPU where one is found. There rows may take `room` bytes; `None`: half of
/// its memory.
pub fn resolve_device(name: &str, room: Option<u64>) -> Result<Device, TrainError> {
    let missing = |detail: String| TrainError::Device {
        device: name.into(),
        detail,
    };
    let index = match name {
        "cpu" => return Ok(Device::Cpu),
        "auto" => {
            let found = cuda().unwrap_or_default();
            return Ok(found
                .first()
                .map_or(Device::Cpu, |first| gpu(0, first, room)));
        }
        "cuda" => 0,
        other => match other
            .strip_prefix("cuda:")
            .and_then(|n| n.parse::<usize>().ok())
        {
            Some(index) => index,
            None => return Err(missing("Known are auto, cpu, cuda and cuda:N.".into())),
        },
    };
    let found = cuda().map_err(missing)?;
    match found.get(index) {
        Some(own) => Ok(gpu(index, own, room)),
        None => Err(missing(format!(
            "This machine has {} CUDA devices.",
            found.len()
        ))),
    }
}

fn gpu(index: usize, own: &DeviceInfo, room: Option<u64>) -> Device {
    let half = own.memory_bytes.unwrap_or(0) / 2;
    Device::Cuda(Gpu {
        index,
        room: room.unwrap_or(half),
    })
}

fn cpu() -> DeviceInfo {
    let field = |path: &str, key: &str| -> Option<String> {
        let text = std::fs::read_to_string(path).ok()?;
        let line = text.lines().find(|line| line.starts_with(key))?;
        line.split_once(':')
            .map(|(_, value)| value.trim().to_owned())
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let name =
        field("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.into());
    let kilobytes = field("/proc/meminfo", "MemTotal")
        .and_then(|v| v.trim_end_matches(" kB").parse::<u64>().ok());
    DeviceInfo {
        device: "cpu".into(),
        name: format!("{name}, {cores} cores"),
        memory_bytes: kilobytes.map(|k| k * 1024),
        available: true,
        note: None,
    }
}

#[cfg(not(feature = "cuda"))]
fn cuda() -> Result<Vec<DeviceInfo>, String> {
    Err("This build of insight has no CUDA support.".into())
}

/// The devices the driver lists, or why there are none.
#[cfg(feature = "cuda")]
fn cuda() -> Result<Vec<DeviceInfo>, String> {
    use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
    type Init = unsafe extern "C" fn(c_uint) -> c_int;
    type Count = unsafe extern "C" fn(*mut c_int) -> c_int;
    type Name = unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int;
    type Memory = unsafe extern "C" fn(*mut usize, c_int) -> c_int;

    // SAFETY: the driver's documented C interface; the library stays loaded for the rest of this process, and the
    // function pointers are used with the signatures of cuda.h.
    unsafe {
        let open = |names: &[&CStr]| {
            names
                .iter()
                .map(|name| libc::dlopen(name.as_ptr(), libc::RTLD_NOW))
                .find(|handle| !handle.is_null())
        };
        let Some(driver) = open(&[c"libcuda.so.1", c"libcuda.so"]) else {
            return Err("No CUDA driver was found (libcuda.so.1).".into());
        };
        let symbol = |name: &CStr| -> Result<*mut c_void, String> {
            let address = libc::dlsym(driver, name.as_ptr());
            if address.is_null() {
                Err("The CUDA driver is too old.".into())
            } else {
                Ok(address)
            }
        };
        let init: Init = std::mem::transmute(symbol(c"cuInit")?);
        let count: Count = std::mem::transmute(symbol(c"cuDeviceGetCount")?);
        let name: Name = std::mem::transmute(symbol(c"cuDeviceGetName")?);
        let memory: Memory = std::mem::transmute(symbol(c"cuDeviceTotalMem_v2")?);
        let status = init(0);
        if status != 0 {
            return Err(format!("The CUDA driver could not start (error {status})."));
        }
        let mut devices: c_int = 0;
        if count(&mut devices) != 0 || devices == 0 {
            return Err("The CUDA driver lists no device.".into());
        }
        if open(&[
            c"libnvrtc.so",
            c"libnvrtc.so.12",
            c"libnvrtc.so.13",
            c"libnvrtc.so.11",
        ])
        .is_none()
        {
            return Err(
                "The CUDA run-time compiler was not found (libnvrtc.so); install the CUDA toolkit."
                    .into(),
            );
        }
        if !headers() {
            return Err(
                "The CUDA headers were not found (include/cuda_runtime.h); install the CUDA toolkit or set CUDA_PATH."
                    .into(),
            );
        }
        let mut found = Vec::new();
        for device in 0..devices {
            let mut text = [0 as c_char; 256];
            let mut bytes = 0usize;
            let known =
                name(text.as_mut_ptr(), 255, device) == 0 && memory(&mut bytes, device) == 0;
            found.push(DeviceInfo {
                device: format!("cuda:{device}"),
                name: CStr::from_ptr(text.as_ptr()).to_string_lossy().into_owned(),
                memory_bytes: known.then_some(bytes as u64),
                available: known,
                note: None,
            });
        }
        Ok(found)
    }
}

/// Whether the headers that every kernel includes lie where CubeCL looks for them.
#[cfg(feature = "cuda")]
fn headers() -> bool {
    let here = |folder: &str| std::path::Path::new(folder).exists();
    let folder = match std::env::var("CUDA_PATH") {
        Ok(folder) => folder,
        Err(_) if here("/usr/local/cuda") => "/usr/local/cuda".into(),
        Err(_) if here("/opt/cuda") => "/opt/cuda".into(),
        Err(_) => "/usr".into(),
    };
    here(&format!("{folder}/include/cuda_runtime.h"))
}
