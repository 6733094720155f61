using System.Diagnostics;
using System.Globalization;

namespace Collective.Stress.Processes;

/// <summary>
/// A network of hosts inside this machine, one network namespace each, joined by a bridge in one more. Nothing of it can be seen or reached from
/// outside. A host can be cut off: packets to and from it are dropped, and nobody is told. The namespaces carry the maker's process id and start
/// time in their names, so that what a run that crashed has left behind is found and removed by the next one.
/// </summary>
internal sealed class PrivateNetwork : IDisposable
{
    public const int HostsMax = 64;

    private const string Prefix = "collective-";
    private const string Bridge = "bridge";
    private const string Interface = "net0";

    private readonly string _name;
    private readonly NetworkNamespace[] _hosts;

    private PrivateNetwork(string name, int hosts)
    {
        _name = name;
        Hub = new NetworkNamespace($"{name}-hub");
        _hosts = [.. Enumerable.Range(0, hosts).Select(host => new NetworkNamespace($"{name}-{host}"))];
    }

    /// <summary>Where the bridge is: who listens here is reached by all hosts at <see cref="HubAddress"/>.</summary>
    public NetworkNamespace Hub { get; }

    public static string HubAddress => "10.77.0.1";

    public IReadOnlyList<NetworkNamespace> Hosts => _hosts;

    /// <summary>Why there can be no such network here, and what to do; null when there can.</summary>
    public static string? Obstacle()
    {
        if (!OperatingSystem.IsLinux())
        {
            return "network namespaces exist on Linux only";
        }

        if (!Environment.IsPrivilegedProcess)
        {
            return "network namespaces can only be made by root: run as root";
        }

        try
        {
            RemoveLeftovers();
            Run(["netns", "list"]);
            using var probe = Create(1);
            return null;
        }
        catch (Exception error) when (error is IOException or System.ComponentModel.Win32Exception)
        {
            return $"network namespaces cannot be made here: install iproute2, and allow this process to make them (capability CAP_SYS_ADMIN). {error.Message}";
        }
    }

    public static PrivateNetwork Create(int hosts)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(hosts, HostsMax);
        var network = new PrivateNetwork($"{Prefix}{Environment.ProcessId}-{StartTime(Environment.ProcessId)}-{Guid.NewGuid():N}"[..40], hosts);
        try
        {
            network.Build();
            return network;
        }
        catch
        {
            network.Dispose();
            throw;
        }
    }

    public static string AddressOf(int host) => string.Create(CultureInfo.InvariantCulture, $"10.77.0.{host + 2}");

    /// <summary>From now on nothing that this host sends arrives, and nothing reaches it.</summary>
    public void CutOff(int host) => Run(["-n", Hub.Name, "link", "set", Port(host), "nomaster"]);

    /// <summary>Undoes <see cref="CutOff"/>.</summary>
    public void Restore(int host) => Run(["-n", Hub.Name, "link", "set", Port(host), "master", Bridge]);

    /// <summary>Removes the namespaces. Processes that still run inside are killed.</summary>
    public void Dispose()
    {
        foreach (var name in NetworkNamespace.Names.Where(name => name.StartsWith(_name, StringComparison.Ordinal)).ToList())
        {
            Remove(name);
        }
    }

    private void Build()
    {
        Batch(null, [$"netns add {Hub.Name}", .. _hosts.Select(host => $"netns add {host.Name}")]);
        Batch(Hub, ["link set lo up", $"link add {Bridge} type bridge", $"addr add {HubAddress}/24 dev {Bridge}", $"link set {Bridge} up"]);
        Batch(Hub, [.. _hosts.SelectMany((host, index) => new[]
        {
            $"link add {Port(index)} type veth peer name {Interface} netns {host.Name}",
            $"link set {Port(index)} master {Bridge}",
            $"link set {Port(index)} up",
        })]);
        for (var host = 0; host < _hosts.Length; host++)
        {
            Batch(_hosts[host], ["link set lo up", $"addr add {AddressOf(host)}/24 dev {Interface}", $"link set {Interface} up"]);
        }
    }

    private static string Port(int host) => $"port{host}";

    /// <summary>What runs of this program have made that do not run any more.</summary>
    private static void RemoveLeftovers()
    {
        foreach (var name in NetworkNamespace.Names.Where(name => name.StartsWith(Prefix, StringComparison.Ordinal)).ToList())
        {
            var parts = name[Prefix.Length..].Split('-');
            if (parts.Length >= 3 && int.TryParse(parts[0], CultureInfo.InvariantCulture, out var maker) && StartTime(maker) != parts[1])
            {
                Remove(name);
            }
        }
    }

    private static void Remove(string name)
    {
        try
        {
            foreach (var process in Run(["netns", "pids", name]).Split('\n', StringSplitOptions.RemoveEmptyEntries))
            {
                Signals.Send(int.Parse(process, CultureInfo.InvariantCulture), Signals.Kill);
            }

            Run(["netns", "delete", name]);
        }
        catch (IOException)
        {
            // Somebody else removes it at the same moment.
        }
    }

    /// <summary>Tells a process from a later one of the same id; "" when there is none.</summary>
    private static string StartTime(int processId)
    {
        try
        {
            var text = File.ReadAllText($"/proc/{processId}/stat");
            return text[(text.LastIndexOf(')') + 2)..].Split(' ')[19];
        }
        catch (IOException)
        {
            return "";
        }
    }

    private static void Batch(NetworkNamespace? inside, IEnumerable<string> lines)
        => Run(inside is null ? ["-batch", "-"] : ["-n", inside.Name, "-batch", "-"], string.Join('\n', lines) + "\n");

    private static string Run(IEnumerable<string> arguments, string input = "")
    {
        var start = new ProcessStartInfo("ip", arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        using var process = Process.Start(start)!;
        process.StandardInput.Write(input);
        process.StandardInput.Close();
        var errors = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return process.ExitCode == 0 ? output : throw new IOException($"ip {string.Join(' ', arguments)}: {errors.GetAwaiter().GetResult().Trim()}");
    }
}
