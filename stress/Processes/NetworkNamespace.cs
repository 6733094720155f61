using System.ComponentModel;
using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;

namespace Collective.Stress.Processes;

/// <summary>A named network of its own (<c>ip netns</c>): sockets made and processes started inside see nothing else.</summary>
internal sealed partial class NetworkNamespace(string name)
{
    private const string Folder = "/run/netns";
    private const int CloneNewNetwork = 0x40000000;

    public string Name { get; } = name;

    /// <summary>The names of all that there are on this machine.</summary>
    public static IEnumerable<string> Names => Directory.Exists(Folder) ? Directory.EnumerateFiles(Folder).Select(file => Path.GetFileName(file)) : [];

    /// <summary>Does something that makes sockets or starts a process, on a thread that has entered the namespace and ends afterwards.</summary>
    public T Run<T>(Func<T> action)
    {
        var result = default(T);
        ExceptionDispatchInfo? failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                Enter();
                result = action();
            }
            catch (Exception error)
            {
                failure = ExceptionDispatchInfo.Capture(error);
            }
        });
        thread.Start();
        thread.Join();
        failure?.Throw();
        return result!;
    }

    private void Enter()
    {
        using var handle = File.OpenHandle(Path.Combine(Folder, Name));
        if (SetNamespace(handle, CloneNewNetwork) != 0)
        {
            throw new Win32Exception(Marshal.GetLastPInvokeError(), $"cannot enter the network namespace {Name}");
        }
    }

    [LibraryImport("libc", EntryPoint = "setns", SetLastError = true)]
    private static partial int SetNamespace(SafeHandle handle, int kind);
}
