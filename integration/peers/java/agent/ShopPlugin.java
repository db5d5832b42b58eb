// The agent's plugin for Shop, as its own plugins for servers, clients, threads and loggers are, none of which is in a registry:
// Entry spans with their references, Local spans that another thread caused, Exit spans that put headers into requests, logs
// with the trace that they are of, and a counter.

import com.sun.net.httpserver.HttpExchange;
import java.io.FileNotFoundException;
import java.lang.reflect.Method;
import java.net.HttpURLConnection;
import org.apache.skywalking.apm.agent.core.boot.ServiceManager;
import org.apache.skywalking.apm.agent.core.conf.Config;
import org.apache.skywalking.apm.agent.core.context.CarrierItem;
import org.apache.skywalking.apm.agent.core.context.ContextCarrier;
import org.apache.skywalking.apm.agent.core.context.ContextManager;
import org.apache.skywalking.apm.agent.core.context.ContextSnapshot;
import org.apache.skywalking.apm.agent.core.context.tag.Tags;
import org.apache.skywalking.apm.agent.core.context.trace.AbstractSpan;
import org.apache.skywalking.apm.agent.core.context.trace.SpanLayer;
import org.apache.skywalking.apm.agent.core.meter.Counter;
import org.apache.skywalking.apm.agent.core.meter.MeterFactory;
import org.apache.skywalking.apm.agent.core.plugin.interceptor.ConstructorInterceptPoint;
import org.apache.skywalking.apm.agent.core.plugin.interceptor.InstanceMethodsInterceptPoint;
import org.apache.skywalking.apm.agent.core.plugin.interceptor.StaticMethodsInterceptPoint;
import org.apache.skywalking.apm.agent.core.plugin.interceptor.enhance.ClassInstanceMethodsEnhancePluginDefine;
import org.apache.skywalking.apm.agent.core.plugin.interceptor.enhance.ClassStaticMethodsEnhancePluginDefine;
import org.apache.skywalking.apm.agent.core.plugin.interceptor.enhance.EnhancedInstance;
import org.apache.skywalking.apm.agent.core.plugin.interceptor.enhance.InstanceConstructorInterceptor;
import org.apache.skywalking.apm.agent.core.plugin.interceptor.enhance.InstanceMethodsAroundInterceptor;
import org.apache.skywalking.apm.agent.core.plugin.interceptor.enhance.MethodInterceptResult;
import org.apache.skywalking.apm.agent.core.plugin.interceptor.enhance.StaticMethodsAroundInterceptor;
import org.apache.skywalking.apm.agent.core.plugin.match.ClassMatch;
import org.apache.skywalking.apm.agent.core.plugin.match.MultiClassNameMatch;
import org.apache.skywalking.apm.agent.core.plugin.match.NameMatch;
import org.apache.skywalking.apm.agent.core.remote.LogReportServiceClient;
import org.apache.skywalking.apm.dependencies.net.bytebuddy.description.method.MethodDescription;
import org.apache.skywalking.apm.dependencies.net.bytebuddy.matcher.ElementMatcher;
import org.apache.skywalking.apm.dependencies.net.bytebuddy.matcher.ElementMatchers;
import org.apache.skywalking.apm.network.common.v3.KeyStringValuePair;
import org.apache.skywalking.apm.network.logging.v3.LogData;
import org.apache.skywalking.apm.network.logging.v3.LogDataBody;
import org.apache.skywalking.apm.network.logging.v3.LogTags;
import org.apache.skywalking.apm.network.logging.v3.TextLog;
import org.apache.skywalking.apm.network.logging.v3.TraceContext;
import org.apache.skywalking.apm.network.trace.component.ComponentsDefine;

public final class ShopPlugin {
    private ShopPlugin() {}

    public static final class Handler extends Instances {
        public Handler() {
            super("handle", HandlerInterceptor.class.getName(), null);
        }

        @Override
        protected ClassMatch enhanceClass() {
            return MultiClassNameMatch.byMultiClassMatch("Shop$Web", "Shop$Stock");
        }
    }

    public static final class Client extends Instances {
        public Client() {
            super("get", ClientInterceptor.class.getName(), null);
        }

        @Override
        protected ClassMatch enhanceClass() {
            return NameMatch.byName("Shop$Client");
        }
    }

    public static final class Work extends Instances {
        public Work() {
            super("run", WorkInterceptor.class.getName(), WorkInterceptor.class.getName());
        }

        @Override
        protected ClassMatch enhanceClass() {
            return NameMatch.byName("Shop$Work");
        }
    }

    public static final class Log extends ClassStaticMethodsEnhancePluginDefine {
        @Override
        protected ClassMatch enhanceClass() {
            return NameMatch.byName("Shop$Log");
        }

        @Override
        public StaticMethodsInterceptPoint[] getStaticMethodsInterceptPoints() {
            return new StaticMethodsInterceptPoint[] {new Point("write", LogInterceptor.class.getName())};
        }
    }

    public static final class HandlerInterceptor extends Around {
        private static final Counter ORDERS = MeterFactory.counter("shop_orders").tag("region", "eu").build();

        @Override
        public void beforeMethod(
                EnhancedInstance instance, Method method, Object[] arguments, Class<?>[] types, MethodInterceptResult result) {
            var exchange = (HttpExchange) arguments[0];
            var carrier = new ContextCarrier();
            for (CarrierItem item = carrier.items(); item.hasNext(); ) {
                item = item.next();
                item.setHeadValue(exchange.getRequestHeaders().getFirst(item.getHeadKey()));
            }
            var span = ContextManager.createEntrySpan(exchange.getRequestURI().getPath(), carrier);
            span.setComponent(ComponentsDefine.JDK_HTTP).setLayer(SpanLayer.HTTP);
            span.setPeer(exchange.getRemoteAddress().getHostString() + ":" + exchange.getRemoteAddress().getPort());
            Tags.URL.set(span, "http://" + exchange.getLocalAddress().getHostString() + exchange.getRequestURI().getPath());
            Tags.HTTP.METHOD.set(span, exchange.getRequestMethod());
            ORDERS.increment(1);
        }

        @Override
        void close(AbstractSpan span, Object[] arguments, Object returned) {
            close(span, ((HttpExchange) arguments[0]).getResponseCode());
        }
    }

    public static final class ClientInterceptor extends Around {
        @Override
        public void beforeMethod(
                EnhancedInstance instance, Method method, Object[] arguments, Class<?>[] types, MethodInterceptResult result) {
            var connection = (HttpURLConnection) arguments[0];
            var url = connection.getURL();
            var carrier = new ContextCarrier();
            var span = ContextManager.createExitSpan(url.getPath(), carrier, url.getHost() + ":" + url.getPort());
            span.setComponent(ComponentsDefine.JDK_HTTP).setLayer(SpanLayer.HTTP);
            Tags.HTTP.METHOD.set(span, connection.getRequestMethod());
            for (CarrierItem item = carrier.items(); item.hasNext(); ) {
                item = item.next();
                connection.setRequestProperty(item.getHeadKey(), item.getHeadValue());
            }
        }

        @Override
        void close(AbstractSpan span, Object[] arguments, Object returned) {
            int status = (Integer) returned;
            if (status == 404) {
                span.log(new FileNotFoundException("there is no such page"));
            }
            close(span, status);
        }
    }

    public static final class WorkInterceptor extends Around implements InstanceConstructorInterceptor {
        @Override
        public void onConstruct(EnhancedInstance instance, Object[] arguments) {
            instance.setSkyWalkingDynamicField(ContextManager.capture());
        }

        @Override
        public void beforeMethod(
                EnhancedInstance instance, Method method, Object[] arguments, Class<?>[] types, MethodInterceptResult result) {
            ContextManager.createLocalSpan("Work/run").setComponent(ComponentsDefine.JDK_THREADING);
            ContextManager.continued((ContextSnapshot) instance.getSkyWalkingDynamicField());
        }
    }

    public static final class LogInterceptor implements StaticMethodsAroundInterceptor {
        @Override
        public void beforeMethod(
                Class type, Method method, Object[] arguments, Class<?>[] types, MethodInterceptResult result) {
            var context = TraceContext.newBuilder()
                    .setTraceId(ContextManager.getGlobalTraceId())
                    .setTraceSegmentId(ContextManager.getSegmentId())
                    .setSpanId(ContextManager.getSpanId());
            var level = KeyStringValuePair.newBuilder().setKey("level").setValue((String) arguments[0]);
            var log = LogData.newBuilder()
                    .setTimestamp(System.currentTimeMillis())
                    .setService(Config.Agent.SERVICE_NAME)
                    .setServiceInstance(Config.Agent.INSTANCE_NAME)
                    .setEndpoint(ContextManager.getPrimaryEndpointName())
                    .setTraceContext(context)
                    .setTags(LogTags.newBuilder().addData(level))
                    .setBody(LogDataBody.newBuilder().setText(TextLog.newBuilder().setText((String) arguments[1])));
            ServiceManager.INSTANCE.findService(LogReportServiceClient.class).produce(log);
        }

        @Override
        public Object afterMethod(Class type, Method method, Object[] arguments, Class<?>[] types, Object returned) {
            return returned;
        }

        @Override
        public void handleMethodException(
                Class type, Method method, Object[] arguments, Class<?>[] types, Throwable error) {}
    }

    // Ends the span that it began.
    abstract static class Around implements InstanceMethodsAroundInterceptor {
        void close(AbstractSpan span, Object[] arguments, Object returned) {}

        static void close(AbstractSpan span, int status) {
            Tags.HTTP_RESPONSE_STATUS_CODE.set(span, status);
            if (status >= 400) {
                span.errorOccurred();
            }
        }

        @Override
        public Object afterMethod(
                EnhancedInstance instance, Method method, Object[] arguments, Class<?>[] types, Object returned) {
            close(ContextManager.activeSpan(), arguments, returned);
            ContextManager.stopSpan();
            return returned;
        }

        @Override
        public void handleMethodException(
                EnhancedInstance instance, Method method, Object[] arguments, Class<?>[] types, Throwable error) {
            ContextManager.activeSpan().log(error);
        }
    }

    // One method of each instance, and what the constructor does.
    abstract static class Instances extends ClassInstanceMethodsEnhancePluginDefine {
        private final Point method;
        private final String constructor;

        Instances(String method, String interceptor, String constructor) {
            this.method = new Point(method, interceptor);
            this.constructor = constructor;
        }

        @Override
        public ConstructorInterceptPoint[] getConstructorsInterceptPoints() {
            if (constructor == null) {
                return new ConstructorInterceptPoint[0];
            }
            return new ConstructorInterceptPoint[] {
                new ConstructorInterceptPoint() {
                    @Override
                    public ElementMatcher<MethodDescription> getConstructorMatcher() {
                        return ElementMatchers.any();
                    }

                    @Override
                    public String getConstructorInterceptor() {
                        return constructor;
                    }
                }
            };
        }

        @Override
        public InstanceMethodsInterceptPoint[] getInstanceMethodsInterceptPoints() {
            return new InstanceMethodsInterceptPoint[] {method};
        }
    }

    private static final class Point implements InstanceMethodsInterceptPoint, StaticMethodsInterceptPoint {
        private final String method;
        private final String interceptor;

        Point(String method, String interceptor) {
            this.method = method;
            this.interceptor = interceptor;
        }

        @Override
        public ElementMatcher<MethodDescription> getMethodsMatcher() {
            return ElementMatchers.named(method);
        }

        @Override
        public String getMethodsInterceptor() {
            return interceptor;
        }

        @Override
        public boolean isOverrideArgs() {
            return false;
        }

        @Override
        public int computeHashCode() {
            return method.hashCode() * 31 + interceptor.hashCode();
        }
    }
}
