"""What `patrol doctor` says, in English and Chinese: what each check is called, and what to do when it is not as it should be."""

from __future__ import annotations

from robot.texts import Text

CHECKS: dict[str, tuple[Text, Text]] = {
    "account": (
        Text("Account", "账户"),
        Text("Ask as the robot's account", "以机器人账户检查"),
    ),
    "settings": (
        Text("Settings", "配置"),
        Text(
            "Mend what is named; `patrol check-config FILE` lists it again", "按提示修改；用 patrol check-config 复查"
        ),
    ),
    "calibration_age": (
        Text("Calibration: age", "标定：时效"),
        Text("Calibrate again: `patrol-calibrate all`", "重新标定：patrol-calibrate all"),
    ),
    "calibration_nominal": (
        Text("Calibration: measured here", "标定：是否实测"),
        Text("Calibrate on this robot; datasheet values are for trials", "在本机实测标定；标称值仅供试用"),
    ),
    "certificate": (
        Text("TLS certificate", "TLS 证书"),
        Text("Renew it, and restart the robot", "更新证书并重启机器人"),
    ),
    "registration": (
        Text("Registration of cameras and thermal sensor", "摄像头与热像配准"),
        Text(
            "Check that nothing has been moved, then `patrol-calibrate registration`",
            "检查安装位置未变动，然后 patrol-calibrate registration",
        ),
    ),
    "faces": (
        Text("Faces found in the thermal image", "热图中的人脸"),
        Text(
            "Have somebody stand 1 m away and look again; if it stays, register again",
            "请一人站在 1 米处重试；仍不符则重新配准",
        ),
    ),
    "open": (
        Text("Device opens", "设备可打开"),
        Text("Check plug, power and address in the settings", "检查插头、供电与配置中的地址"),
    ),
    "valid": (
        Text("What it sends can be used", "数据可用"),
        Text("docs/fault-finding.md has it by these words", "参见 docs/fault-finding.md"),
    ),
    "place": (
        Text("Place of the robot", "机器人位置"),
        Text(
            "Antenna to the open sky; `baud=`, broker and topic in the settings; docs/wiring.md",
            "天线置于开阔天空下；检查配置中的 baud=、代理与主题；见 docs/wiring.md",
        ),
    ),
    "turns": (
        Text("Turns of the robot are followed", "跟踪机器人转向"),
        Text(
            "Let the base tell heading_deg ten times a second, or people are mixed up as it turns; docs/wiring.md",
            "请让底盘每秒发送十次 heading_deg，否则转向时人员会混淆；见 docs/wiring.md",
        ),
    ),
    "rate": (
        Text("Frame rate", "帧率"),
        Text(
            "Does rate_hz fit what the address asks for (fps, rate_hz, baud)? Other USB port, shorter cable, more light, smaller picture",
            "核对 rate_hz 与地址中的 fps、rate_hz、baud；更换 USB 口、缩短线缆、增加照明或减小画面",
        ),
    ),
    "size": (
        Text("Picture size", "画面尺寸"),
        Text("Set the size that was calibrated, or calibrate again", "设为标定时的尺寸，或重新标定"),
    ),
    "timestamps": (
        Text("Time stamps", "时间戳"),
        Text(
            "Replace cable or hub; look for a process that takes the processor",
            "更换线缆或集线器；查找占用处理器的进程",
        ),
    ),
    "exposure": (
        Text("Exposure", "曝光"),
        Text("Clean the lens, add light or shade it from the sun", "清洁镜头，增加照明或遮挡阳光"),
    ),
    "sharpness": (
        Text("Sharpness", "清晰度"),
        Text(
            "Wipe and dry the lens; focus it where people stand, and fix it", "擦净并擦干镜头；对焦到人员站立处并固定"
        ),
    ),
    "alive": (
        Text("Picture changes", "画面更新"),
        Text("Unplug the device, wait ten seconds and plug it in again", "拔下设备，等待十秒后重新插上"),
    ),
    "faults": (
        Text("Faults on the wire", "传输错误"),
        Text("Replace cable or hub, keep it away from motors and relays", "更换线缆或集线器，远离电机与继电器"),
    ),
    "noise": (
        Text("Thermal noise (NETD)", "热噪声 (NETD)"),
        Text("Let the sensor warm up for half an hour; if it stays, replace it", "让传感器预热半小时；仍超标则更换"),
    ),
    "reference": (
        Text("Reference plate", "温度参考源"),
        Text("Switch the plate on, uncover and wipe it, check its place", "打开参考源，去除遮挡并擦拭，检查位置"),
    ),
    "ambient": (
        Text("Air temperature", "环境温度"),
        Text(
            "Read a thermometer and set measurement.ambient_c; outside the window nobody is screened",
            "读取温度计并设置 measurement.ambient_c；超出允许范围不筛查任何人",
        ),
    ),
    "plate": (
        Text("Plate's controller", "参考源控制器"),
        Text(
            "Wait until it is warm; if it stays, look at its display and supply", "等待升温；仍不稳定则检查其显示与供电"
        ),
    ),
    "model": (
        Text("Face detector's file", "人脸检测模型"),
        Text("Install the release again, or `python -m models prepare`", "重新安装，或 python -m models prepare"),
    ),
    "provider": (
        Text("Execution provider", "推理后端"),
        Text(
            "Install the accelerator's libraries, or name CPUExecutionProvider",
            "安装加速库，或改用 CPUExecutionProvider",
        ),
    ),
    "inference": (
        Text("Detector's speed", "检测速度"),
        Text(
            "End other programs, cool the computer, or set a smaller network_px",
            "结束其他程序，改善散热，或减小 network_px",
        ),
    ),
    "disk": (
        Text("Room for events", "事件存储空间"),
        Text(
            "Delete what is not needed, or set a shorter store.retention_hours",
            "清理磁盘，或缩短 store.retention_hours",
        ),
    ),
    "disk_write": (
        Text("Disk takes events", "磁盘写入"),
        Text("Put right what is found; replace a slow card or disk", "排除所示问题；存储卡过慢则更换"),
    ),
    "evidence": (
        Text("Evidence of alarms", "警报证据"),
        Text(
            "Put right what is found, or name another evidence.folder",
            "排除所示问题，或更改 evidence.folder",
        ),
    ),
    "clock": (
        Text("Clock follows a time server", "时钟同步"),
        Text("Enable systemd-timesyncd or chrony and name a server", "启用 systemd-timesyncd 或 chrony 并配置服务器"),
    ),
    "temperature": (
        Text("Computer's temperature", "主机温度"),
        Text("Clean the fan, open the vents, shade the robot", "清理风扇与通风口，避免日晒"),
    ),
    "power": (
        Text("Computer's supply", "主机供电"),
        Text("Use a supply and cable made for it (5.1 V, 5 A)", "使用合格的电源与线缆 (5.1 V, 5 A)"),
    ),
    "usb": (
        Text("USB speed", "USB 速率"),
        Text("Plug it into a fast port, without an old hub or a long cable", "插入高速口，不用旧集线器或过长线缆"),
    ),
    "indicator": (
        Text("Lamp and siren", "指示灯与警笛"),
        Text("Set indicator.address; check wiring and the group gpio", "设置 indicator.address；检查接线与 gpio 组"),
    ),
    "supply": (
        Text("Switch of its supply", "设备供电开关"),
        Text("Set `power` to a free pin; check the group gpio", "将 power 设为空闲引脚；检查 gpio 组"),
    ),
    "warning": (
        Text("What the robot says beside", "机器人提示"),
        Text("docs/fault-finding.md has it by these words", "参见 docs/fault-finding.md"),
    ),
    "service": (
        Text("Robot's answer", "机器人应答"),
        Text("`journalctl -u patrol-robot -n 50` says why", "用 journalctl -u patrol-robot -n 50 查看原因"),
    ),
}
"""By check: its name, and what to do."""

HEADINGS = {
    "check": Text("Check", "检查项"),
    "device": Text("Of", "对象"),
    "found": Text("Found", "结果"),
    "todo": Text("What to do", "处理方法"),
}
LEVELS = {
    "ok": Text("good", "正常"),
    "warn": Text("look", "注意"),
    "fail": Text("BAD", "故障"),
    "skip": Text("not seen", "未检查"),
}
FIT = Text(
    "Fit for duty: {good} of {all} checks are good, none is bad.", "可以上岗：{all} 项检查中 {good} 项正常，无故障。"
)
UNFIT = Text("NOT fit for duty: {count} of {all} checks failed.", "不可上岗：{all} 项检查中 {count} 项未通过。")
BESIDE = Text(
    "The robot is running and keeps its devices: what it says of them itself is shown.",
    "机器人正在运行并占用设备：以下为其自身报告。",
)
